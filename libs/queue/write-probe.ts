import type { Check } from '@flux-dispatch/runtime/ops-server';
import type { Redis } from 'ioredis';
import { DEAD_LETTER_QUEUE, DISPATCH_QUEUE } from './keys.ts';
import { redisUnavailable } from './redis.ts';
import { failureText, type RefusalLog } from './refusals.ts';
import { defineScript } from './script.ts';

/** BullMQ's keys that every job of a queue passes through. */
const SHARED_KEYS = {
  wait: 'list',
  active: 'list',
  delayed: 'zset',
  prioritized: 'zset',
  failed: 'zset',
  completed: 'zset',
  marker: 'zset',
  stalled: 'set',
  meta: 'hash',
  events: 'stream',
} as const;

/** Keys of our own, of the dispatch queue alone. */
const OWN_KEYS = {
  delivered: 'zset',
  streams: 'zset',
  healthy: 'hash',
  objects: 'zset',
  turns: 'hash',
  limiter: 'string',
  'limiter:untold': 'string',
  calls: 'list',
  pace: 'hash',
} as const;

const PROBE_LIVES_MS = 60_000;

/**
 * Whether Redis answers and takes our writes, with the reason where it does not. A PING succeeds on a Redis that is full or
 * has lost its replicas, and on a node of a Redis Cluster that does not serve our keys.
 */
export function redisTakesWrites(redis: Redis, prefix: string): Check {
  const probe = defineScript<null>(redis, 'probe.lua');
  const types = (queue: string, of: Readonly<Record<string, string>>) =>
    Object.entries(of).map(([key, type]) => [`${prefix}:${queue}:${key}`, type] as const);
  const looked = [
    ...types(DISPATCH_QUEUE, { ...SHARED_KEYS, ...OWN_KEYS }),
    ...types(DEAD_LETTER_QUEUE, SHARED_KEYS),
  ];
  const keys = [`${prefix}:${DISPATCH_QUEUE}:probe`, ...looked.map(([key]) => key)];
  const values = [PROBE_LIVES_MS, ...looked.map(([, type]) => type)];
  return async () => {
    const reason = redisUnavailable(redis);
    if (reason !== undefined) return reason;
    try {
      await probe(keys, values);
      return undefined;
    } catch (error) {
      return failureText(error);
    }
  };
}

/** @throws with the reason where `check` gives one */
export async function passing(check: Check): Promise<void> {
  const reason = await check();
  if (reason !== undefined) throw new Error(reason);
}

const PROBE_EVERY_MS = 5000;

/**
 * Probes Redis every few seconds until it is disposed, so that a process logs what Redis refuses, and when that is over,
 * even while it has nothing to write.
 */
export function watchWrites(check: Check, refusals: RefusalLog): Disposable {
  const timer = setInterval(async () => {
    if ((await check()) === undefined) refusals.takesWrites();
  }, PROBE_EVERY_MS);
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
