import { isConnectionError } from '@flux-dispatch/queue/connection-error';
import { DISPATCH_QUEUE } from '@flux-dispatch/queue/keys';
import { WORKER_LIMITER } from '@flux-dispatch/queue/limiter';
import { refusalOf } from '@flux-dispatch/queue/refusals';
import { TolerantWorker } from '@flux-dispatch/queue/tolerant';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Job, JobJson, Worker, WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import { backoff } from './backoff.ts';
import type { createProcessor } from './processor.ts';

export interface DispatchWorkerConfig {
  readonly QUEUE_PREFIX: string;
  readonly DISPATCH_CONCURRENCY: number;
}

/**
 * How soon another worker takes up what a dead one held. BullMQ's defaults take 60 to 92 s; a lock is renewed at half its
 * duration, and a job counts as stalled once two checks have found it without one, so this is 45 s at most.
 * However often that happens, the job is processed: past maxStalledCount BullMQ fails it without asking.
 */
export const STALLED_JOBS = {
  lockDuration: 15_000,
  stalledInterval: 15_000,
  maxStalledCount: Number.MAX_SAFE_INTEGER,
} as const satisfies Partial<WorkerOptions>;

/**
 * The worker of the dispatch queue. Errors of its connection are logged; it goes on when Redis is back.
 * @param retryDelay how long to wait after the nth failed attempt, in milliseconds
 */
export function startDispatchWorker(
  redis: Redis,
  config: DispatchWorkerConfig,
  processor: ReturnType<typeof createProcessor>,
  log: Logger,
  retryDelay: (attemptsMade: number) => number = backoff,
): Worker {
  const worker = new DispatchWorker(DISPATCH_QUEUE, processor, {
    connection: redis,
    prefix: config.QUEUE_PREFIX,
    concurrency: config.DISPATCH_CONCURRENCY,
    limiter: WORKER_LIMITER,
    ...STALLED_JOBS,
    settings: { backoffStrategy: attemptsMade => retryDelay(attemptsMade) },
  });
  logErrors(worker, 'Dispatch worker', log);
  return worker;
}

/** A worker that gives options to a job whose hash has lost them. Without any, its first error would end it for good. */
class DispatchWorker extends TolerantWorker<unknown> {
  protected override createJob(data: JobJson, jobId: string): Job {
    const job = super.createJob(data, jobId);
    if (!job.opts.attempts) {
      const backoff = { type: 'custom' };
      Object.assign(job.opts, { attempts: Number.MAX_SAFE_INTEGER, backoff, removeOnFail: true });
    }
    return job;
  }
}

/** Logs what goes wrong in a worker between two jobs: once, however often it is repeated. */
export function logErrors(
  worker: Pick<Worker, 'on'>,
  name: string,
  log: Pick<Logger, 'warn' | 'debug'>,
): void {
  let last: string | undefined;
  worker.on('error', err => {
    const isLogged = isConnectionError(err) || refusalOf(err) !== undefined;
    // Without the job's id: a worker may lose the locks of all its jobs at once.
    const kind = err.message.replace(/\bjob \S+/, 'job');
    log[isLogged || kind === last ? 'debug' : 'warn']({ err }, name);
    if (!isLogged) last = kind;
  });
}

/**
 * Stops a worker: it takes no new job, and those under way end. While Redis is away, or when it turns out to be, they
 * cannot, and BullMQ would wait for it; then what is under way is left to another replica.
 */
export async function stopWorker(worker: Worker, redis: Redis): Promise<void> {
  if (redis.status !== 'ready') return worker.close(true);
  // Not `once` of node:events, which rejects at the error that comes before: here that Redis hangs is an answer.
  const away = new Promise<void>(resolve => redis.once('close', resolve));
  await Promise.race([worker.close(), away]);
}
