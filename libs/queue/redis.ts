import { readFileSync } from 'node:fs';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Check } from '@flux-dispatch/runtime/ops-server';
import { matching, mountedFile, variable } from '@flux-dispatch/runtime/variable';
import { Redis, type RedisOptions } from 'ioredis';
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

const SENTINEL_ANSWERS_WITHIN_MS = 2000;
const SENTINEL_RETRY_MS = 500;

/**
 * BullMQ's longest blocking command is 10 s, and its blocking connections are duplicates of the worker's: nothing that
 * is answered at all takes longer. https://github.com/taskforcesh/bullmq/issues/1658
 */
const WORKER_ANSWERED_WITHIN_MS = 12_000;

function baseOptions(config: RedisConfig): Omit<RedisOptions, 'replyMapping'> {
  const { REDIS_URL: location, REDIS_PASSWORD_PATH: passwordPath, REDIS_CA_PATH: caPath } = config;
  // A password file ends in a newline more often than a Redis password does.
  const password = passwordPath
    ? readFileSync(passwordPath, 'utf8').replace(/\r?\n$/, '')
    : location.password;
  const tls = location.tls ? { ...location.tls, ...(caPath ? { ca: readFileSync(caPath) } : {}) } : undefined;
  return {
    ...location,
    ...(password ? { password } : {}),
    ...(password && location.sentinels ? { sentinelPassword: password } : {}),
    ...(tls ? { tls } : {}),
    connectTimeout: 5000,
    // A sentinel that has hung still accepts connections: ask the next one.
    sentinelCommandTimeout: SENTINEL_ANSWERS_WITHIN_MS,
    // The error tells the wait, so one that grew would be a reason of its own each time, and a line in the log.
    sentinelRetryStrategy: () => SENTINEL_RETRY_MS,
    retryStrategy: attempt => Math.min(attempt * 100, 2000),
    // A replica that was the primary until a moment ago: reconnect, so that the new primary is looked up.
    reconnectOnError: error => (error.message.startsWith('READONLY') ? 2 : false),
  };
}

/**
 * A connection that fails fast, for a caller who has a client waiting: commands are refused while Redis is known to
 * be away, and those under way fail when the connection breaks or nothing has come back for `timeoutMs`.
 * A command that failed may all the same have been carried out.
 */
export function connectFailFast(config: RedisConfig, timeoutMs: number, log: Logger): Redis {
  const redis = new Redis({
    ...baseOptions(config),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Drops a connection on which Redis has gone silent, with all that waits on it: while it is being opened again
    // callers are refused at once, and no commands pile up in memory.
    socketTimeout: timeoutMs,
    connectTimeout: timeoutMs,
  });
  return logged(redis, log);
}

/**
 * A connection that waits for Redis however long it is away, for a worker that has nothing else to do. BullMQ duplicates
 * it for its blocking commands.
 */
export function connectPatient(config: RedisConfig, log: Logger): Redis {
  const redis = new Redis({
    ...baseOptions(config),
    maxRetriesPerRequest: null,
    // A primary that hangs, or has gone with its machine, closes no connection, and while its kernel acknowledges packets
    // keepalive finds nothing either: without this its workers would wait for it for ever, failover or not. Reconnecting
    // asks Sentinel anew, and what had no answer is sent again. BullMQ watches over its blocking commands itself, but
    // the reconnecting that it does then would hang in the same way.
    // ioredis' failoverDetector is no substitute: where it hears of the failover while ioredis is already reconnecting,
    // it ends the connection for good.
    socketTimeout: WORKER_ANSWERED_WITHIN_MS,
  });
  return logged(redis, log);
}

/** Logs when Redis goes away and when it is back: one line each, not one for every attempt to reconnect. */
function logged(redis: Redis, log: Logger): Redis {
  let away: string | undefined;
  redis.on('error', (error: NodeJS.ErrnoException) => {
    const reason = error.message || error.code || error.name;
    if (reason === away) return;
    away = reason;
    log.warn({ reason }, 'Redis is away: reconnecting');
  });
  redis.on('ready', () => {
    if (away !== undefined) log.info('Redis is back');
    away = undefined;
  });
  return redis;
}

/** Why Redis cannot be asked now, as far as the connection knows; undefined where it can. */
export function redisUnavailable({ status }: Pick<Redis, 'status'>): string | undefined {
  return status === 'ready' ? undefined : `Redis is away (${status}): check REDIS_URL and the Redis server`;
}

/** Whether Redis answers a PING, with the reason where it does not. */
export function redisAnswers(redis: Redis): Check {
  return async () => {
    const reason = redisUnavailable(redis);
    if (reason !== undefined) return reason;
    try {
      await redis.ping();
      return undefined;
    } catch (error) {
      return `Redis does not answer: ${(error as Error).message}`;
    }
  };
}
