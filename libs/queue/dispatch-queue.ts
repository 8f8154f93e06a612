import type { Logger } from '@flux-dispatch/runtime/log';
import type { BulkJobOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { type Dispatch, dispatchName } from './dispatch.ts';
import { DISPATCH_QUEUE } from './keys.ts';
import { TolerantQueue } from './tolerant.ts';

/** The dispatch queue, for whoever adds to it or looks into it. Errors of its connection are logged. */
export function openDispatchQueue(redis: Redis, prefix: string, log: Logger): Queue<Dispatch> {
  const queue = new TolerantQueue<Dispatch>(DISPATCH_QUEUE, { connection: redis, prefix });
  // A connection error is on the connection's own log line already.
  queue.on('error', err => log.debug({ err }, 'Dispatch queue'));
  return queue;
}

/** When the dispatcher is to take a dispatch up. */
export interface Turn {
  /** The lower, the earlier: from 1 to {@link LAST_PRIORITY}. */
  readonly priority: number;
  /** How long it waits before it gets its turn, in milliseconds. */
  readonly delayMs?: number;
}

/** The priority of what comes after everything that is new. It is the highest number that BullMQ takes. */
export const LAST_PRIORITY = 2 ** 21 - 1;

/** A dispatch as BullMQ takes it. */
export function dispatchJob(
  dispatch: Dispatch,
  { priority, delayMs = 0 }: Turn,
): { name: string; data: Dispatch; opts: BulkJobOptions } {
  return {
    name: dispatchName(dispatch),
    data: dispatch,
    opts: {
      ...dispatchJobOptions(dispatch.payload.dispatch_id, dispatch.dedup_id, priority),
      // By Redis' clock: the retry window begins then, whichever replica accepted it.
      timestamp: dispatch.accepted_at,
      ...(delayMs > 0 && { delay: delayMs }),
    },
  };
}

/**
 * The dispatch's id is the job's id, so that it is the same over every retry. The claim of `dedupId` is made by the same
 * script that enqueues the job.
 */
export function dispatchJobOptions(
  jobId: string,
  dedupId: string | undefined,
  priority: number,
): BulkJobOptions {
  return {
    jobId,
    priority,
    ...(dedupId === undefined ? {} : { deduplication: { id: dedupId } }),
    // How long to go on is a matter of time, not of number: the dispatcher ends it by the retry window.
    attempts: Number.MAX_SAFE_INTEGER,
    backoff: { type: 'custom' },
    // The newest deliveries stay for operators to look at. Claims do not depend on them.
    removeOnComplete: { count: 1000 },
    // By then it is a dead letter, from where the same job may come back.
    removeOnFail: true,
  };
}
