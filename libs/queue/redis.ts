import { readFileSync } from 'node:fs';
import { matching, mountedFile } from '@flux-dispatch/runtime/env';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Check } from '@flux-dispatch/runtime/ops-server';
import { Redis, type RedisOptions } from 'ioredis';
import { z } from 'zod';

/** The variables of every process that speaks to Redis. */
export const REDIS_VARIABLES = {
  REDIS_URL: z
    .string()
    .prefault('redis://localhost:6379')
    .transform((url, context) => {
      const location = parseRedisUrl(url);
      if (location !== undefined) return location;
      // The value is not repeated: it may hold a password.
      context.addIssue({
        code: 'custom',
        message:
          'must be redis://host:6379, rediss://host:6379 (TLS) or redis-sentinel://host1:26379,host2:26379/name, with a password in it percent-encoded',
      });
      return z.NEVER;
    }),
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

/** Where Redis is, and as whom to speak to it: the part of ioredis' options that a URL can say. */
export type RedisLocation = Pick<
  RedisOptions,
  'host' | 'port' | 'username' | 'password' | 'db' | 'tls' | 'sentinels' | 'name'
>;

const SENTINEL_URL = /^redis-sentinel:\/\/(?:([^:@/]*)(?::([^@/]*))?@)?([^/@]+)\/([^/?]+)(?:\/(\d{1,3}))?$/;
const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[^:[\]]+)(?::(\d{1,5}))?$/;

/** Parses the three forms of `REDIS_URL`. Returns undefined for anything else. */
export function parseRedisUrl(value: string): RedisLocation | undefined {
  if (!isPercentEncoded(value)) return undefined;
  const sentinel = SENTINEL_URL.exec(value);
  if (sentinel) {
    const [, username, password, hosts = '', name = '', db] = sentinel;
    const sentinels = hosts.split(',').map(host => {
      const [, hostname, port] = HOST_PORT.exec(host) ?? [];
      return { host: hostname?.replace(/[[\]]/g, ''), port: Number(port ?? 26_379) };
    });
    if (sentinels.some(({ host, port }) => host === undefined || port > 65_535)) return undefined;
    return {
      sentinels: sentinels as { host: string; port: number }[],
      name: decodeURIComponent(name),
      ...credentials(username, password),
      ...(db ? { db: Number(db) } : {}),
    };
  }
  if (!URL.canParse(value)) return undefined;
  const url = new URL(value);
  const db = /^\/?(\d{0,3})$/.exec(url.pathname)?.[1];
  if (!/^rediss?:$/.test(url.protocol) || url.hostname === '' || db === undefined) return undefined;
  return {
    host: url.hostname.replace(/[[\]]/g, ''),
    port: Number(url.port || 6379),
    ...credentials(url.username, url.password),
    ...(db ? { db: Number(db) } : {}),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function isPercentEncoded(value: string): boolean {
  try {
    decodeURIComponent(value);
    return true;
  } catch {
    return false;
  }
}

function credentials(username: string | undefined, password: string | undefined) {
  return {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
  };
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
export function connectProducer(config: RedisConfig, timeoutMs: number, log: Logger): Redis {
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
export function connectWorker(config: RedisConfig, log: Logger): Redis {
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

/** Whether Redis answers a PING, with the reason where it does not. */
export function redisAnswers(redis: Redis): Check {
  return async () => {
    if (redis.status !== 'ready')
      return `Redis is away (${redis.status}): check REDIS_URL and the Redis server`;
    try {
      await redis.ping();
      return undefined;
    } catch (error) {
      return `Redis does not answer: ${(error as Error).message}`;
    }
  };
}
