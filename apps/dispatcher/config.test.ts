import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from '@flux-dispatch/runtime/env';
import { afterAll, describe, expect, test } from 'vitest';
import { parseDispatcherConfig } from './config.ts';

const directory = mkdtempSync(join(tmpdir(), 'flux-dispatch-dispatcher-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string | Buffer): string {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
}
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const REQUIRED = {
  GITHUB_APP_ID: '4711',
  GITHUB_PRIVATE_KEY_PATH: file('key.pem', rsa.export({ type: 'pkcs1', format: 'pem' })),
};

const DEFAULTS = {
  REDIS_URL: { host: 'localhost', port: 6379 },
  QUEUE_PREFIX: '{flux-dispatch}',
  METRICS_ADDR: { host: undefined, port: 9090 },
  LOG_LEVEL: 'info',
  SHUTDOWN_TIMEOUT: 25_000,
  ALLOWED_OWNERS: ['Altinn'],
  GITHUB_API_URL: 'https://api.github.com',
  GITHUB_API_VERSION: '2026-03-10',
  DISPATCH_CONCURRENCY: 16,
  DISPATCH_TIMEOUT: 10_000,
  DISPATCH_RETRY_WINDOW: 6 * 3_600_000,
  DISPATCH_RATE: { max: 8, per: 3000 },
  DEAD_LETTER_COOLDOWN: 3_600_000,
  DEAD_LETTER_RETENTION: 14 * 86_400_000,
  RUN_RECEIPTS: 'auto',
  RUN_START_TIMEOUT: 600_000,
  RUN_FOLLOW_TIMEOUT: 6 * 3_600_000,
  RUN_RETENTION: 7 * 86_400_000,
  DRY_RUN: false,
};

function configOf(env: Environment) {
  const parsed = parseDispatcherConfig(env);
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('\n'));
  return parsed.config;
}

function faultsOf(env: Environment) {
  const parsed = parseDispatcherConfig(env);
  return parsed.ok ? [] : parsed.faults;
}

test("the App's id and key are all that has to be given", () => {
  expect(configOf(REQUIRED)).toEqual({ ...DEFAULTS, ...REQUIRED });
});

test('a dry run needs neither', () => {
  expect(configOf({ DRY_RUN: 'true' })).toEqual({ ...DEFAULTS, DRY_RUN: true });
});

test('a variable that is empty counts as unset', () => {
  const empty = Object.fromEntries(Object.keys(DEFAULTS).map(variable => [variable, '']));
  expect(configOf({ ...empty, ...REQUIRED, GITHUB_INSTALLATION_ID: '' })).toEqual(configOf(REQUIRED));
});

test.each([
  ['GITHUB_APP_ID', 'Iv23liAbCdEf', 'Iv23liAbCdEf'],
  ['GITHUB_INSTALLATION_ID', '42', 42],
  ['GITHUB_API_URL', 'https://ghe.example/api/v3/', 'https://ghe.example/api/v3'],
  ['GITHUB_API_VERSION', '2022-11-28', '2022-11-28'],
  ['DISPATCH_RATE', 'off', 'off'],
  ['DISPATCH_RATE', '180/1m', { max: 180, per: 60_000 }],
  ['DEAD_LETTER_COOLDOWN', '0s', 0],
  ['RUN_RECEIPTS', 'off', 'off'],
  ['RUN_START_TIMEOUT', '90s', 90_000],
  ['DISPATCH_RETRY_WINDOW', '14d', 1_209_600_000],
  ['ALLOWED_OWNERS', 'Altinn,Digdir', ['Altinn', 'Digdir']],
])('%s=%s', (variable, value, expected) => {
  expect(configOf({ ...REQUIRED, [variable]: value })).toHaveProperty(variable, expected);
});

describe('a wrong environment names the variable and what it must be', () => {
  const duration = 'must be a duration such as 500ms, 10s, 24h, 14d or 1h30m';
  test.each([
    ['GITHUB_APP_ID', '', 'is required, unless DRY_RUN=true'],
    ['GITHUB_APP_ID', 'my app', "must be the GitHub App's id or client id"],
    ['GITHUB_PRIVATE_KEY_PATH', '', 'is required, unless DRY_RUN=true'],
    ['GITHUB_PRIVATE_KEY_PATH', '/absent', 'must name a readable file: /absent does not exist'],
    ['GITHUB_PRIVATE_KEY_PATH', file('garbage', 'hunter2'), 'is not a private key in PEM form'],
    [
      'GITHUB_PRIVATE_KEY_PATH',
      file('ec.pem', ec.export({ type: 'pkcs8', format: 'pem' })),
      'is a key of type ec, not RSA',
    ],
    ['GITHUB_INSTALLATION_ID', 'Altinn', 'must be a whole number from 1 to'],
    ['GITHUB_API_URL', 'api.github.com', 'must be an http or https URL, not "api.github.com"'],
    ['GITHUB_API_VERSION', 'v3', 'must be a version of GitHub\'s REST API such as 2026-03-10, not "v3"'],
    [
      'ALLOWED_OWNERS',
      'Altinn/dialogporten',
      'must be a comma-separated list of GitHub organizations or users',
    ],
    ['DISPATCH_CONCURRENCY', '0', 'must be a whole number from 1 to 1000, not "0"'],
    ['DISPATCH_TIMEOUT', '10', duration],
    ['DISPATCH_RETRY_WINDOW', '1w', duration],
    ['DISPATCH_RATE', '8', 'must be a number of calls per duration such as 8/3s, or off, not "8"'],
    ['DEAD_LETTER_COOLDOWN', '-1s', duration],
    ['RUN_RECEIPTS', 'on', 'must be auto or off, not "on"'],
    ['RUN_START_TIMEOUT', '500ms', duration],
    ['DRY_RUN', 'yes', 'must be true, false, 1 or 0, not "yes"'],
    ['REDIS_URL', 'cache', 'must be redis://host:6379'],
  ])('%s=%s', (variable, value, must) => {
    const faults = faultsOf({ ...REQUIRED, [variable]: value });
    expect(faults).toEqual([{ variable, message: expect.stringContaining(must) }]);
    expect(faults[0]?.message).toMatch(new RegExp(`^${variable} `));
    expect(faults[0]?.message).not.toContain('hunter2');
  });

  test('all of them at once', () => {
    expect(
      faultsOf({ DISPATCH_RATE: 'fast' })
        .map(({ variable }) => variable)
        .sort(),
    ).toEqual(['DISPATCH_RATE', 'GITHUB_APP_ID', 'GITHUB_PRIVATE_KEY_PATH']);
  });
});
