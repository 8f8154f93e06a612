import { readFileSync } from 'node:fs';
import type { Logger } from '@flux-dispatch/runtime/log';
import { matching, mountedFile, variable } from '@flux-dispatch/runtime/variable';
import { Redis, type RedisOptions } from 'ioredis';
import { parseRedisUrl, type RedisLocation } from './redis-url.ts';
import type { RefusalLog } from './refusals.ts';

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
  };
}

/**
 * ioredis calls this for every error reply, also on the connections that BullMQ duplicates, so it is the one place that sees
 * all refusals.
 * @param then what becomes of a command for which it reconnects
 */
function onErrorReply(refusals: RefusalLog | undefined, then: 'fail' | 'send again') {
  return (error: Error) => {
    refusals?.notice(error);
    // A replica that was the primary until a moment ago: reconnect, so that the new primary is looked up.
    if (!error.message.startsWith('READONLY')) return false;
    return then === 'fail' ? 1 : 2;
  };
}

/**
 * A connection that fails fast, for a caller who has a client waiting: commands are refused while Redis is known to
 * be away, and those under way fail when the connection breaks or nothing has come back for `timeoutMs`.
 * A command that failed may all the same have been carried out.
 * @param refusals is given every error with which Redis answers
 */
export function connectFailFast(
  config: RedisConfig,
  timeoutMs: number,
  log: Logger,
  refusals?: RefusalLog,
): Redis {
  const redis = new Redis({
    ...baseOptions(config),
    reconnectOnError: onErrorReply(refusals, 'fail'),
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
 * @param refusals is given every error with which Redis answers
 */
export function connectPatient(config: RedisConfig, log: Logger, refusals?: RefusalLog): Redis {
  const redis = new Redis({
    ...baseOptions(config),
    reconnectOnError: onErrorReply(refusals, 'send again'),
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

const SYSTEM_CODES: ReadonlySet<unknown> = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'],
]);
const BROKEN_CONNECTION =
  /^(Connection is closed|Socket timeout|Command timed out|Stream isn't writeable|All sentinels|connect ETIMEDOUT)/;

/** Whether a command failed with its connection, which has a log line of its own. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, message } = error as NodeJS.ErrnoException;
  return SYSTEM_CODES.has(code) || BROKEN_CONNECTION.test(message);
}

/** Why Redis cannot be asked now, as far as the connection knows; undefined where it can. */
export function redisUnavailable({ status }: Pick<Redis, 'status'>): string | undefined {
  return status === 'ready' ? undefined : `Redis is away (${status}): check REDIS_URL and the Redis server`;
}

/** Redis' clock, which is the same for every process, in milliseconds since the epoch. @throws while Redis is away */
export async function redisTime(redis: Pick<Redis, 'time'>): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
