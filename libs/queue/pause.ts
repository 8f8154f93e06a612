import type { DispatcherMetrics } from '@flux-dispatch/dispatcher/metrics';
import type { RateLimit } from '@flux-dispatch/github/classify';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Redis } from 'ioredis';
import { defineScript } from './script.ts';

/** Pauses the queue on every replica for as long as GitHub asks. */
export type Pause = (limit: RateLimit) => Promise<void>;

// GitHub asks for a minute where it does not say how long, and for more each time after that.
const FIRST_UNTOLD_MS = 60_000;
const LONGEST_UNTOLD_MS = 3_600_000;
// More jobs than any worker's limiter allows: what BullMQ's own queue.rateLimit() sets, which however overwrites.
const EXHAUSTED = Number.MAX_SAFE_INTEGER;

/**
 * Counts and logs each pause.
 * @param limiterKey the key of BullMQ's limiter, which every worker of the queue looks at before it takes a job
 */
export function createPause(
  redis: Redis,
  limiterKey: string,
  metrics: Pick<DispatcherMetrics, 'rateLimited'>,
  log: Logger,
): Pause {
  const pause = defineScript<number>(redis, 'pause.lua');
  return async ({ kind, waitMs }) => {
    const told = waitMs === undefined ? -1 : Math.ceil(waitMs);
    const untold = [FIRST_UNTOLD_MS, LONGEST_UNTOLD_MS];
    const keys = [limiterKey, `${limiterKey}:untold`];
    const pausedMs = await pause(keys, [told, ...untold, EXHAUSTED]);
    metrics.rateLimited.inc({ kind });
    log.warn({ limit: kind, pause_ms: pausedMs }, "GitHub's rate limit: the queue pauses on every replica");
  };
}
