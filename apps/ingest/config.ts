import { FAILURE_REASONS, SUCCESS_REASONS } from '@flux-dispatch/event/reasons';
import { REDIS_VARIABLES } from '@flux-dispatch/queue/redis';
import { EVENT_TYPE } from '@flux-dispatch/routing/decide';
import {
  type Environment,
  type Fault,
  PROCESS_VARIABLES,
  parseEnvironment,
  requiredUnless,
} from '@flux-dispatch/runtime/env';
import {
  address,
  duration,
  flag,
  integer,
  list,
  matching,
  mountedFile,
  oneOf,
} from '@flux-dispatch/runtime/variable';
import { parseTokens } from './token.ts';

const REASONS = list(/^[A-Za-z]{1,100}$/, 'a comma-separated list of Flux reasons');

const VARIABLES = {
  ...PROCESS_VARIABLES,
  ...REDIS_VARIABLES,
  REDIS_WAIT_REPLICAS: integer(0, 100).prefault('0'),
  LISTEN_ADDR: address.prefault(':8080'),
  HMAC_TOKEN_PATH: mountedFile(parseTokens).optional(),
  ALLOW_UNSIGNED: flag.prefault('false'),
  ALLOWED_OWNERS: list(
    /^[A-Za-z0-9._-]+$/,
    'a comma-separated list of GitHub organizations or users',
  ).prefault('Altinn'),
  REJECT_STATUS: oneOf('422', '200').transform(Number).prefault('422'),
  DEFAULT_DISPATCH_EVENT: matching(
    EVENT_TYPE,
    '1 to 100 letters, digits, dots, dashes or underscores',
  ).prefault('flux-deploy'),
  SUCCESS_REASONS: REASONS.prefault(SUCCESS_REASONS.join()),
  FAILURE_REASONS: REASONS.prefault(FAILURE_REASONS.join()),
  MAX_BODY_BYTES: integer(1, 100 * 1024 * 1024).prefault('1048576'),
  DEDUP_TTL: duration().prefault('24h'),
  DEDUP_MAX_ENTRIES: integer(1, 10_000_000).prefault('10000'),
  RATE_LIMIT_INTERVAL: duration().prefault('1h'),
  QUEUE_TIMEOUT: duration({ min: '10ms' }).prefault('2s'),
};

export function parseIngestConfig(env: Environment) {
  return parseEnvironment(VARIABLES, env, [
    requiredUnless('HMAC_TOKEN_PATH', 'ALLOW_UNSIGNED'),
    disjointReasons,
  ]);
}

export type IngestConfig = Extract<ReturnType<typeof parseIngestConfig>, { ok: true }>['config'];

const disjointReasons = (config: {
  SUCCESS_REASONS?: string[];
  FAILURE_REASONS?: string[];
}): Fault | undefined => {
  const { SUCCESS_REASONS: successes = [], FAILURE_REASONS: failures = [] } = config;
  const both = successes.filter(reason => failures.includes(reason));
  if (both.length === 0) return undefined;
  return {
    variable: 'SUCCESS_REASONS',
    message: `SUCCESS_REASONS and FAILURE_REASONS must not share a reason: ${both.join(', ')}`,
  };
};
