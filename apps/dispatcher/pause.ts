import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { RateLimit } from './classify.ts';

/** Pauses the queue on every replica for as long as GitHub asks. Returns how long it is paused from now, in ms. */
export type Pause = (limit: RateLimit) => Promise<number>;

// GitHub asks for a minute where it does not say how long, and for more each time after that.
const FIRST_UNTOLD_MS = 60_000;
const LONGEST_UNTOLD_MS = 3_600_000;
// More jobs than any worker's limiter allows: what BullMQ's own queue.rateLimit() sets, which however overwrites.
const EXHAUSTED = Number.MAX_SAFE_INTEGER;
const LUA = readFileSync(join(import.meta.dirname, 'pause.lua'), 'utf8');

/** @param limiterKey the key of BullMQ's limiter, which every worker of the queue looks at before it takes a job */
export function createPause(redis: Redis, limiterKey: string): Pause {
  return async ({ waitMs }) => {
    const told = waitMs === undefined ? -1 : Math.ceil(waitMs);
    const untold = [FIRST_UNTOLD_MS, LONGEST_UNTOLD_MS];
    return Number(await redis.eval(LUA, 2, limiterKey, `${limiterKey}:untold`, told, ...untold, EXHAUSTED));
  };
}
