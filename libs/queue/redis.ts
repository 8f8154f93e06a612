import { readFileSync } from 'node:fs';
import type { Logger } from '@flux-dispatch/runtime/log';
import { Redis, type RedisOptions } from 'ioredis';
import { explainConnectionError } from './connection-error.ts';
import { type RedisConfig, redisPassword } from './redis-config.ts';
import type { RefusalLog } from './refusals.ts';

const SENTINEL_ANSWERS_WITHIN_MS = 2000;
const SENTINEL_RETRY_MS = 500;

/**
 * BullMQ's longest blocking command is 10 s, and its blocking connections are duplicates of the worker's: nothing that
 * is answered at all takes longer. https://github.com/taskforcesh/bullmq/issues/1658
 */
const WORKER_ANSWERED_WITHIN_MS = 12_000;

function baseOptions(config: RedisConfig): Omit<RedisOptions, 'replyMapping'> {
  const { REDIS_URL: location, REDIS_PASSWORD_PATH: passwordPath, REDIS_CA_PATH: caPath } = config;
  const password = passwordPath ? redisPassword(passwordPath) : location.password;
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
  return logged(redis, config, log);
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
  return logged(redis, config, log);
}

/** Why a connection that was lost is not back yet. */
const obstacles = new WeakMap<object, string>();

/** Logs when the connection is lost and when it is back: one line each, not one for every attempt to reconnect. */
function logged(redis: Redis, config: RedisConfig, log: Logger): Redis {
  redis.on('error', (error: NodeJS.ErrnoException) => {
    // Of the rest of the handshake, once the connection is being closed.
    if (error.message.startsWith("Stream isn't writeable")) return;
    // ioredis would go on with database 0, which may be another application's.
    if (error.message.includes('DB index is out of range')) redis.disconnect(true);
    const reason = explainConnectionError(error, config);
    if (reason === obstacles.get(redis)) return;
    obstacles.set(redis, reason);
    log.warn({ reason }, 'No connection to Redis: trying again');
  });
  redis.on('ready', () => {
    if (obstacles.delete(redis)) log.info('Connected to Redis again');
  });
  return redis;
}

/** Why Redis cannot be asked now, as far as the connection knows; undefined where it can. */
export function redisUnavailable(redis: Pick<Redis, 'status'>): string | undefined {
  if (redis.status === 'ready') return undefined;
  return `No connection to Redis: ${obstacles.get(redis) ?? redis.status}`;
}

/** Redis' clock, which is the same for every process, in milliseconds since the epoch. @throws while Redis is away */
export async function redisTime(redis: Pick<Redis, 'time'>): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}
