import { readFileSync } from 'node:fs';
import { matching, mountedFile, variable } from '@flux-dispatch/runtime/variable';
import { parseRedisUrl, type RedisLocation } from './redis-url.ts';

/** The variables of every process that speaks to Redis. */
export const REDIS_VARIABLES = {
  // The value may hold a password.
  REDIS_URL: variable(
    parseRedisUrl,
    'redis://host:6379, rediss://host:6379 (TLS) or redis-sentinel://host1:26379,host2:26379/name, with a password in it percent-encoded',
    { isSecret: true },
  ).prefault('redis://localhost:6379'),
  REDIS_PASSWORD_PATH: mountedFile().optional(),
  REDIS_CA_PATH: mountedFile().optional(),
  QUEUE_PREFIX: matching(
    /^[^\s:]{1,100}$/,
    'a key prefix without spaces and colons, in {braces} for a Redis cluster',
  ).prefault('{flux-dispatch}'),
};

export interface RedisConfig {
  readonly REDIS_URL: RedisLocation;
  readonly REDIS_PASSWORD_PATH?: string | undefined;
  readonly REDIS_CA_PATH?: string | undefined;
}

/** The password in a file. Such a file ends in a newline more often than a Redis password does. */
export function redisPassword(path: string): string {
  return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
}
