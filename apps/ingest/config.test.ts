import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAILURE_REASONS, SUCCESS_REASONS } from '@flux-dispatch/event/reasons';
import type { Environment } from '@flux-dispatch/runtime/env';
import { afterAll, describe, expect, test } from 'vitest';
import { parseIngestConfig } from './config.ts';

const directory = mkdtempSync(join(tmpdir(), 'flux-dispatch-ingest-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
}
const HMAC_TOKEN_PATH = file('token', 'hunter2\n');

const DEFAULTS = {
  REDIS_URL: { host: 'localhost', port: 6379 },
  REDIS_WAIT_REPLICAS: 0,
  QUEUE_PREFIX: '{flux-dispatch}',
  METRICS_ADDR: { host: undefined, port: 9090 },
  LOG_LEVEL: 'info',
  SHUTDOWN_TIMEOUT: 25_000,
  LISTEN_ADDR: { host: undefined, port: 8080 },
  ALLOW_UNSIGNED: false,
  ALLOWED_OWNERS: ['Altinn'],
  REJECT_STATUS: 422,
  DEFAULT_DISPATCH_EVENT: 'flux-deploy',
  SUCCESS_REASONS,
  FAILURE_REASONS,
  MAX_BODY_BYTES: 1_048_576,
  DEDUP_TTL: 30 * 24 * 3_600_000,
  DEDUP_MAX_ENTRIES: 100_000,
  DEDUP_KEEP: 2 * 3_600_000,
  DEPENDENCY_GRACE: 300_000,
  RATE_LIMIT_INTERVAL: 3_600_000,
  QUEUE_TIMEOUT: 2000,
};

function configOf(env: Environment) {
  const parsed = parseIngestConfig(env);
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('\n'));
  return parsed.config;
}

function faultsOf(env: Environment) {
  const parsed = parseIngestConfig(env);
  return parsed.ok ? [] : parsed.faults;
}

test('a token is all that has to be given', () => {
  expect(configOf({ HMAC_TOKEN_PATH })).toEqual({ ...DEFAULTS, HMAC_TOKEN_PATH });
});

test('a variable that is empty counts as unset', () => {
  const empty = Object.fromEntries(Object.keys(DEFAULTS).map(variable => [variable, '']));
  expect(configOf({ ...empty, HMAC_TOKEN_PATH, REDIS_PASSWORD_PATH: '', REDIS_CA_PATH: '' })).toEqual({
    ...DEFAULTS,
    HMAC_TOKEN_PATH,
  });
});

test('every variable can be set', () => {
  const env = {
    ALLOW_UNSIGNED: 'true',
    REDIS_URL: 'rediss://cache:6380',
    REDIS_PASSWORD_PATH: file('password', 'hunter2'),
    REDIS_CA_PATH: file('ca.crt', 'certificate'),
    REDIS_WAIT_REPLICAS: '1',
    QUEUE_PREFIX: 'team-a',
    METRICS_ADDR: '127.0.0.1:0',
    LOG_LEVEL: 'debug',
    SHUTDOWN_TIMEOUT: '5s',
    LISTEN_ADDR: '[::1]:80',
    ALLOWED_OWNERS: 'Altinn, Digdir',
    REJECT_STATUS: '200',
    DEFAULT_DISPATCH_EVENT: 'deployed',
    SUCCESS_REASONS: 'InstallSucceeded',
    FAILURE_REASONS: 'InstallFailed,TestFailed',
    MAX_BODY_BYTES: '3145728',
    DEDUP_TTL: '14d',
    DEDUP_MAX_ENTRIES: '1',
    DEDUP_KEEP: '30m',
    DEPENDENCY_GRACE: '0s',
    RATE_LIMIT_INTERVAL: '5m',
    QUEUE_TIMEOUT: '500ms',
  };
  expect(configOf(env)).toEqual({
    ALLOW_UNSIGNED: true,
    REDIS_URL: { host: 'cache', port: 6380, tls: {} },
    REDIS_PASSWORD_PATH: env.REDIS_PASSWORD_PATH,
    REDIS_CA_PATH: env.REDIS_CA_PATH,
    REDIS_WAIT_REPLICAS: 1,
    QUEUE_PREFIX: 'team-a',
    METRICS_ADDR: { host: '127.0.0.1', port: 0 },
    LOG_LEVEL: 'debug',
    SHUTDOWN_TIMEOUT: 5000,
    LISTEN_ADDR: { host: '::1', port: 80 },
    ALLOWED_OWNERS: ['Altinn', 'Digdir'],
    REJECT_STATUS: 200,
    DEFAULT_DISPATCH_EVENT: 'deployed',
    SUCCESS_REASONS: ['InstallSucceeded'],
    FAILURE_REASONS: ['InstallFailed', 'TestFailed'],
    MAX_BODY_BYTES: 3_145_728,
    DEDUP_TTL: 1_209_600_000,
    DEDUP_MAX_ENTRIES: 1,
    DEDUP_KEEP: 1_800_000,
    DEPENDENCY_GRACE: 0,
    RATE_LIMIT_INTERVAL: 300_000,
    QUEUE_TIMEOUT: 500,
  });
});

describe('a wrong environment names the variable and what it must be', () => {
  test.each([
    ['HMAC_TOKEN_PATH', '', 'is required, unless ALLOW_UNSIGNED=true'],
    ['HMAC_TOKEN_PATH', '/absent', 'must name a readable file: /absent does not exist'],
    ['HMAC_TOKEN_PATH', file('blank', '\n'), 'is empty: it must hold the token of the Flux Provider'],
    ['ALLOW_UNSIGNED', 'yes', 'must be true, false, 1 or 0, not "yes"'],
    [
      'REDIS_URL',
      'localhost:6379',
      'must be redis://host:6379, rediss://host:6379 (TLS) or redis-sentinel://',
    ],
    ['REDIS_PASSWORD_PATH', '/absent', 'must name a readable file: /absent does not exist'],
    ['REDIS_CA_PATH', file('empty', ''), 'is empty'],
    ['REDIS_WAIT_REPLICAS', '-1', 'must be a whole number from 0 to 100, not "-1"'],
    ['QUEUE_PREFIX', 'a:b', 'must be a key prefix without spaces and colons'],
    ['LISTEN_ADDR', '8080', 'must be an address such as :8080 or 127.0.0.1:8080, not "8080"'],
    ['METRICS_ADDR', ':70000', 'must be an address such as :8080 or 127.0.0.1:8080, not ":70000"'],
    ['LOG_LEVEL', 'verbose', 'must be trace or debug or info or warn or error or fatal, not "verbose"'],
    ['SHUTDOWN_TIMEOUT', '25', 'must be a duration such as 500ms, 10s, 24h, 14d or 1h30m'],
    ['ALLOWED_OWNERS', 'Altinn,', 'must be a comma-separated list of GitHub organizations or users'],
    ['REJECT_STATUS', '400', 'must be 422 or 200, not "400"'],
    [
      'DEFAULT_DISPATCH_EVENT',
      'flux deploy',
      'must be 1 to 100 letters, digits, dots, dashes or underscores',
    ],
    ['SUCCESS_REASONS', 'a b', 'must be a comma-separated list of Flux reasons'],
    [
      'SUCCESS_REASONS',
      'BuildFailed',
      'SUCCESS_REASONS and FAILURE_REASONS must not share a reason: BuildFailed',
    ],
    ['MAX_BODY_BYTES', '1MB', 'must be a whole number from 1 to'],
    ['DEDUP_TTL', '366d', 'from 1ms to 365d, not "366d"'],
    ['DEDUP_MAX_ENTRIES', '0', 'must be a whole number from 1 to'],
    ['RATE_LIMIT_INTERVAL', '0s', 'must be a duration'],
    ['QUEUE_TIMEOUT', '1ms', 'must be a duration such as 500ms, 10s, 24h, 14d or 1h30m, from 10ms to 24d'],
  ])('%s=%s', (variable, value, must) => {
    const faults = faultsOf({ HMAC_TOKEN_PATH, [variable]: value });
    expect(faults).toEqual([{ variable, message: expect.stringContaining(must) }]);
    expect(faults[0]?.message).toMatch(new RegExp(`^${variable} `));
  });

  test('all of them at once', () => {
    const faults = faultsOf({ LISTEN_ADDR: '8080', REJECT_STATUS: '500', SUCCESS_REASONS: 'TestFailed' });
    expect(faults.map(({ variable }) => variable).sort()).toEqual([
      'HMAC_TOKEN_PATH',
      'LISTEN_ADDR',
      'REJECT_STATUS',
      'SUCCESS_REASONS',
    ]);
  });
});
