import type { RateLimit } from '@flux-dispatch/github/verdict';
import type { Pause } from '@flux-dispatch/queue/limiter';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { DispatcherMetrics } from './metrics.ts';

/** Pauses the queue on every replica for as long as GitHub asks; logs and counts that. */
export type RateLimitPause = (limit: RateLimit) => Promise<void>;

export function createRateLimitPause(
  pause: Pause,
  metrics: Pick<DispatcherMetrics, 'rateLimited'>,
  log: Pick<Logger, 'warn'>,
): RateLimitPause {
  return async ({ kind, waitMs }) => {
    const pausedMs = await pause(kind, waitMs);
    metrics.rateLimited.inc({ kind });
    log.warn({ limit: kind, pause_ms: pausedMs }, "GitHub's rate limit: the queue pauses on every replica");
  };
}
