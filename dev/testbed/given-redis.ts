import { readFileSync } from 'node:fs';
import { setTimeout as after } from 'node:timers/promises';
import { connectFailFast, REDIS_VARIABLES, type RedisConfig } from '@flux-dispatch/queue/redis';
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
    const reason = explain(error as NodeJS.ErrnoException, parsed.config, limitMs);
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

/** What is wrong, as the end of a sentence that begins with "REDIS_URL is set, but". */
export function explain(
  error: Pick<NodeJS.ErrnoException, 'code' | 'message'>,
  { REDIS_URL: location, REDIS_PASSWORD_PATH: passwordPath }: RedisConfig,
  withinMs: number,
): string {
  const { code = '', message } = error;
  const { sentinels, host = '', port, name, db, tls } = location;
  const where = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (message.startsWith('WRONGPASS')) {
    return `Redis at ${where} rejected the password of ${passwordPath ? 'REDIS_PASSWORD_PATH' : 'REDIS_URL'}`;
  }
  if (message.startsWith('NOAUTH')) {
    return `Redis at ${where} requires a password: put it into REDIS_URL, or into a file that REDIS_PASSWORD_PATH names`;
  }
  if (message.startsWith('READONLY')) return `Redis at ${where} is a read-only replica: name its primary`;
  if (message.includes('DB index is out of range')) return `Redis at ${where} has no database ${db}`;
  if (message.startsWith('All sentinels')) {
    const [, last = 'none of them knows that name'] = /Last error: (.+)$/.exec(message) ?? [];
    const asked = sentinels?.map(sentinel => `${sentinel.host}:${sentinel.port}`).join(', ');
    return `no sentinel says where the primary "${name}" is, asked: ${asked} (${last.replace(/\.$/, '')})`;
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host name "${host}" does not resolve`;
  if (code === 'ECONNREFUSED') return `nothing listens on ${where}`;
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return `${where} does not speak TLS: for a Redis without TLS write redis:// instead of rediss://`;
  }
  if (/CERT|ISSUER|ALTNAME/.test(code)) {
    return `the certificate of ${where} is not trusted (${message.split(';')[0]}): name its CA with REDIS_CA_PATH`;
  }
  if (message.startsWith('Unknown RESP type')) return `what answers on ${where} is not Redis`;
  if (code === 'ETIMEDOUT' || message.startsWith('Socket timeout')) {
    const hint = tls ? '. If it does not speak TLS, write redis:// instead of rediss://' : '';
    return `${sentinels ? 'Redis' : where} did not answer within ${withinMs / 1000} s${hint}`;
  }
  if (code === 'ECONNRESET' || code === 'EPIPE' || message === 'the connection was closed') {
    const hint = tls ? '' : '. If it expects TLS, write rediss:// instead of redis://';
    return `${where} closed the connection${hint}`;
  }
  return `Redis at ${where} cannot be used (${message || code})`;
}

/** A file's password takes precedence over that of the URL, as in the processes. */
function withPassword(redisUrl: string, passwordPath: string): string {
  if (!URL.canParse(redisUrl)) return redisUrl;
  const url = new URL(redisUrl);
  // A password file ends in a newline more often than a Redis password does.
  url.password = encodeURIComponent(readFileSync(passwordPath, 'utf8').replace(/\r?\n$/, ''));
  return url.href;
}
