import { setTimeout as after } from 'node:timers/promises';
import { explainConnectionError } from '@flux-dispatch/queue/connection-error';
import { connectFailFast } from '@flux-dispatch/queue/redis';
import { REDIS_VARIABLES, redisPassword } from '@flux-dispatch/queue/redis-config';
import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { createLogger } from '@flux-dispatch/runtime/log';
import type { Redis } from 'ioredis';
import type { RedisEnvironment, TestRedis } from './test-redis.ts';

export interface GivenRedisOptions {
  /** Whether its `url` alone must lead to it. Default: false. */
  readonly urlAlone?: boolean | undefined;
  /** How long Redis may take to prove usable, in milliseconds; with sentinels twice as long. Default: 2500. */
  readonly withinMs?: number | undefined;
}

const ANSWERS_WITHIN_MS = 2500;

/**
 * The Redis of `REDIS_URL`, once it has proved usable.
 * @throws within `withinMs` where it is not usable, with the reason and without the password
 */
export async function givenRedis(
  given: RedisEnvironment,
  { urlAlone = false, withinMs = ANSWERS_WITHIN_MS }: GivenRedisOptions = {},
): Promise<TestRedis> {
  const { REDIS_URL = '', REDIS_PASSWORD_PATH: passwordPath, REDIS_CA_PATH: caPath } = given;
  if (urlAlone) {
    const obstacle = REDIS_URL.startsWith('redis-sentinel:')
      ? 'REDIS_URL names sentinels'
      : REDIS_URL.startsWith('rediss:') && caPath
        ? 'REDIS_CA_PATH is set'
        : undefined;
    if (obstacle) {
      const instead = 'Name a Redis that a plain client reaches, or unset REDIS_URL to start one';
      throw new Error(`${obstacle}, which works for the demo only. ${instead}`);
    }
  }
  (await openGivenRedis(given, withinMs)).disconnect();
  return {
    url: passwordPath ? withPassword(REDIS_URL, passwordPath) : REDIS_URL,
    env: {
      REDIS_URL,
      ...(passwordPath && { REDIS_PASSWORD_PATH: passwordPath }),
      ...(caPath && { REDIS_CA_PATH: caPath }),
    },
    origin: 'REDIS_URL',
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * Connects as the processes of flux-dispatch do, to a primary that answers PING.
 * @throws within `withinMs` where that fails, with the reason and without the password
 */
export async function openGivenRedis(given: RedisEnvironment, withinMs = ANSWERS_WITHIN_MS): Promise<Redis> {
  const parsed = parseEnvironment(REDIS_VARIABLES, { ...given });
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('\n'));
  const redis = connectFailFast(parsed.config, withinMs, createLogger('testbed', 'fatal'));
  const { promise: failed, reject } = Promise.withResolvers<never>();
  redis.once('error', reject);
  redis.once('close', () => reject(new Error('the connection was closed')));
  // A sentinel that hangs is given up after 2 s, and then the next one is asked.
  const limitMs = parsed.config.REDIS_URL.sentinels ? 2 * withinMs : withinMs;
  const late = after(limitMs, undefined, { ref: false }).then(() => {
    throw new Error('Socket timeout');
  });
  try {
    await Promise.race([untilUsable(redis), failed, late]);
    return redis;
  } catch (error) {
    redis.disconnect();
    const reason = explainConnectionError(error as NodeJS.ErrnoException, parsed.config, limitMs);
    // Without its cause: ioredis' errors carry the command, and that of an AUTH has the password.
    throw new Error(
      `REDIS_URL is set, but ${reason}. Correct it, or unset REDIS_URL to have a Redis started`,
    );
  }
}

async function untilUsable(redis: Redis): Promise<void> {
  await new Promise(resolve => redis.once('ready', resolve));
  await redis.ping();
  // Not a write: ioredis would reconnect and repeat it, in the hope of a new primary.
  if ((await redis.info('replication')).includes('role:slave')) throw new Error('READONLY');
}

/** A file's password takes precedence over that of the URL, as in the processes. */
function withPassword(redisUrl: string, passwordPath: string): string {
  if (!URL.canParse(redisUrl)) return redisUrl;
  const url = new URL(redisUrl);
  url.password = encodeURIComponent(redisPassword(passwordPath));
  return url.href;
}
