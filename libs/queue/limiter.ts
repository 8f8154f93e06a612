import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { defineScript, type ScriptConnection } from './script.ts';

/**
 * The count in BullMQ's limiter that means a pause: beyond what any worker's limiter allows, so every worker waits until
 * the key expires. It is what BullMQ's own `queue.rateLimit()` sets.
 */
export const LIMITER_EXHAUSTED = Number.MAX_SAFE_INTEGER;

/** A pace: at most `max` jobs in any window of `per` milliseconds, all workers together. */
export interface Pace {
  readonly max: number;
  readonly per: number;
}

/** The limiter of a worker. Even without a pace there is one, as pauses work through it: only they reach its maximum. */
export function limiterOptions(pace: Pace | 'off'): { max: number; duration: number } {
  return pace === 'off'
    ? { max: LIMITER_EXHAUSTED - 1, duration: 1000 }
    : { max: pace.max, duration: pace.per };
}

/** The key that every worker of a queue looks at before it takes a job. */
function limiterKey(queue: Pick<Queue, 'toKey'>): string {
  return queue.toKey('limiter');
}

/**
 * Whether a queue's limiter holds its workers back, for the pace or for a pause.
 * @param max of the workers' {@link limiterOptions}
 * @throws while Redis is away
 */
export async function isHeld(
  queue: Pick<Queue, 'toKey'>,
  redis: Pick<Redis, 'get' | 'pttl'>,
  max: number,
): Promise<boolean> {
  const key = limiterKey(queue);
  const [taken, leftMs] = await Promise.all([redis.get(key), redis.pttl(key)]);
  return leftMs > 0 && Number(taken) >= max;
}

/**
 * Pauses a queue for all its workers. A pause is only ever lengthened.
 * @param waitMs how long; undefined where GitHub does not say: a minute, then twice as long each time, an hour at most
 * @returns how long the queue is paused from now, in milliseconds
 */
export type Pause = (waitMs: number | undefined) => Promise<number>;

// Where GitHub does not say how long.
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;

/** Not by BullMQ's own `queue.rateLimit()`, which overwrites: a later and shorter answer would end a pause early. */
export function createPause(queue: Pick<Queue, 'toKey'>, redis: ScriptConnection): Pause {
  const pause = defineScript<number>(redis, 'pause.lua');
  const key = limiterKey(queue);
  const keys = [key, `${key}:untold`];
  return async waitMs => {
    const asked = waitMs === undefined ? -1 : Math.ceil(waitMs);
    const values = [asked, FIRST_PAUSE_MS, LONGEST_PAUSE_MS, LIMITER_EXHAUSTED];
    return pause(keys, values);
  };
}
