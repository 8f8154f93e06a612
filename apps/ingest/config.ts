import { REDIS_VARIABLES } from '@flux-dispatch/queue/redis-config';
import { disjointReasons, ROUTING_VARIABLES } from '@flux-dispatch/routing/config';
import {
  type Environment,
  PROCESS_VARIABLES,
  parseEnvironment,
  requiredUnless,
} from '@flux-dispatch/runtime/env';
import { address, duration, flag, integer, mountedFile } from '@flux-dispatch/runtime/variable';
import { parseTokens } from './token.ts';

const VARIABLES = {
  ...PROCESS_VARIABLES,
  ...REDIS_VARIABLES,
  ...ROUTING_VARIABLES,
  DEDUP_TTL: duration({ max: '365d' }).prefault('30d'),
  DEDUP_MAX_ENTRIES: integer(1, 10_000_000).prefault('100000'),
  DEDUP_KEEP: duration({ min: '0s', max: '365d' }).prefault('2h'),
  REDIS_WAIT_REPLICAS: integer(0, 100).prefault('0'),
  LISTEN_ADDR: address.prefault(':8080'),
  HMAC_TOKEN_PATH: mountedFile(parseTokens).optional(),
  ALLOW_UNSIGNED: flag.prefault('false'),
  MAX_BODY_BYTES: integer(1, 100 * 1024 * 1024).prefault('1048576'),
  QUEUE_TIMEOUT: duration({ min: '10ms' }).prefault('2s'),
};

export function parseIngestConfig(env: Environment) {
  return parseEnvironment(VARIABLES, env, [
    requiredUnless('HMAC_TOKEN_PATH', 'ALLOW_UNSIGNED'),
    disjointReasons,
  ]);
}
