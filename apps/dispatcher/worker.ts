import { DISPATCH_QUEUE } from '@flux-dispatch/queue/keys';
import type { Logger } from '@flux-dispatch/runtime/log';
import { Worker, type WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { backoff } from './backoff.ts';
import type { createProcessor } from './processor.ts';

export interface DispatchWorkerConfig {
  readonly QUEUE_PREFIX: string;
  readonly DISPATCH_CONCURRENCY: number;
  readonly DISPATCH_RATE: { readonly max: number; readonly per: number } | 'off';
}

// BullMQ's defaults give a dead worker's job to another after 60 to 92 s. A lock is renewed at half its duration, and a
// job counts as stalled once two checks have found it without one: 45 s at most.
const LOCK_MS = 15_000;

/** The worker of the dispatch queue. Errors of its connection are logged; it goes on when Redis is back. */
export function startDispatchWorker(
  redis: Redis,
  config: DispatchWorkerConfig,
  processor: ReturnType<typeof createProcessor>,
  log: Logger,
): Worker {
  const worker = new Worker(DISPATCH_QUEUE, processor, {
    connection: redis,
    prefix: config.QUEUE_PREFIX,
    concurrency: config.DISPATCH_CONCURRENCY,
    limiter: limiter(config.DISPATCH_RATE),
    lockDuration: LOCK_MS,
    stalledInterval: LOCK_MS,
    // Beyond it BullMQ fails a job without calling the processor.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    settings: { backoffStrategy: attemptsMade => backoff(attemptsMade) },
  });
  worker.on('error', err => log.debug({ err }, 'Dispatch worker'));
  return worker;
}

/** A pause for GitHub's rate limit works through the limiter, so there is one even where there is no pace. */
function limiter(rate: DispatchWorkerConfig['DISPATCH_RATE']): NonNullable<WorkerOptions['limiter']> {
  return rate === 'off'
    ? { max: Number.MAX_SAFE_INTEGER - 1, duration: 1000 }
    : { max: rate.max, duration: rate.per };
}
