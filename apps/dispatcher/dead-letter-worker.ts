import type { Claims } from '@flux-dispatch/queue/claims';
import { type DeadLetter, deathReason, readDeadLetter } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJobOptions, LAST_PRIORITY } from '@flux-dispatch/queue/dispatch-queue';
import { DEAD_LETTER_QUEUE } from '@flux-dispatch/queue/keys';
import { repeat } from '@flux-dispatch/queue/patience';
import { TolerantWorker } from '@flux-dispatch/queue/tolerant';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Job, type Queue, UnrecoverableError, type Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { logErrors, STALLED_JOBS } from './worker.ts';

export interface DeadLetterWorkerDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly dispatches: Queue<Dispatch>;
  readonly claims: Pick<Claims, 'endCooldown' | 'holder'>;
  /** The clock that all processes share, in milliseconds since the epoch. */
  readonly redisTime: () => Promise<number>;
  readonly log: Logger;
}

/**
 * The worker of the dead-letter queue. The first run of an entry parks it: it fails, so that it stands among the failed
 * jobs with its reason. A later run means that an operator pressed Retry on the board, and redrives it.
 */
export function startDeadLetterWorker(dependencies: DeadLetterWorkerDependencies): Worker {
  const { redis, prefix, log } = dependencies;
  const worker = new TolerantWorker<DeadLetter>(DEAD_LETTER_QUEUE, job => run(job, dependencies), {
    connection: redis,
    prefix,
    concurrency: 10,
    ...STALLED_JOBS,
  });
  logErrors(worker, 'Dead-letter worker', log);
  return worker;
}

async function run(job: Job<DeadLetter>, dependencies: DeadLetterWorkerDependencies): Promise<void> {
  const entry = readDeadLetter(job.data);
  if (!entry) throw unreadable(job, dependencies.log);
  if (job.attemptsMade === 0) throw new UnrecoverableError(deathReason(entry));

  const parsed = parseDispatch(entry.dispatch);
  const dispatch = parsed.ok ? parsed.dispatch : undefined;
  const dispatchId = entry.dispatch_id || dispatch?.payload.dispatch_id;
  if (dispatchId === undefined || entry.dispatch === undefined) throw unreadable(job, dependencies.log);
  const outcome = await redrive(job, { ...entry, dispatch_id: dispatchId }, dispatch, dependencies);
  dependencies.log.info(
    {
      outcome,
      dispatch_id: dispatchId,
      ...(dispatch && { repo: dispatch.repo, event_type: dispatch.event_type }),
    },
    'Dead letter',
  );
}

function unreadable({ id }: Job, log: Pick<Logger, 'warn'>): UnrecoverableError {
  const reason = 'This entry holds no dispatch that could be sent: remove it';
  log.warn({ outcome: 'unreadable', job_id: id, error: reason }, 'Dead letter');
  return new UnrecoverableError(reason);
}

// A job that has just been buried ends within milliseconds. One whose worker died there takes a minute, which is too long to
// hold a slot: the entry is parked again with that as its reason.
const ENDING_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 50;

/**
 * Puts the dispatch of an entry back on its queue, under its claim, with a retry window of its own. Where a newer
 * dispatch holds the claim, nothing is put back. Doing it again after a crash changes nothing.
 * @param dispatch what the entry holds; undefined where this version cannot read it
 * @throws when the job that died has not ended yet: the entry is parked again
 */
async function redrive(
  { name, timestamp }: Pick<Job, 'name' | 'timestamp'>,
  { dispatch_id, dedup_id, run: diedRun, dispatch: kept, deaths, first_died_at }: DeadLetter,
  dispatch: Dispatch | undefined,
  { dispatches, claims, redisTime, log }: DeadLetterWorkerDependencies,
): Promise<'redriven' | 'replaced_by_newer' | 'delivered_before'> {
  const pending = await repeat(
    async () => {
      const job = await dispatches.getJob(dispatch_id);
      if (!job) return 'none';
      // One that has died is removed when it ends.
      if (job.finishedOn !== undefined) return 'delivered_before';
      // Only a redrive queues it again: this one, before a crash.
      return job.timestamp > diedRun ? 'redriven' : undefined;
    },
    {
      for: 'the dispatch that died to end',
      otherwise: 'the dead letter stays on the board, retry it in a minute',
      ...{ everyMs: LOOK_AGAIN_MS, patienceMs: ENDING_WITHIN_MS, log, about: { dispatch_id } },
    },
  );
  if (pending !== 'none') return pending;
  if (dedup_id !== undefined) {
    // A claim in its cooldown, its own or that of another dispatch that has died, would refuse it.
    await claims.endCooldown(dedup_id);
    const holder = await claims.holder({ dedup_id, stream_id: dispatch?.stream_id });
    if (holder && holder.id !== dispatch_id) return 'replaced_by_newer';
    if (holder?.state === 'delivered') return 'delivered_before';
  }
  const died = { times: deaths, first_at: first_died_at || new Date(timestamp).toISOString() };
  // What this version cannot read goes back as it is, for one that can.
  const data = dispatch ? { ...dispatch, died } : (kept as Dispatch);
  const added = await dispatches.add(name, data, {
    ...dispatchJobOptions(dispatch_id, dedup_id, LAST_PRIORITY),
    // A run of its own, also where it died by a clock that is ahead of this one.
    timestamp: Math.max(await redisTime(), diedRun + 1),
  });
  return added.id === dispatch_id ? 'redriven' : 'replaced_by_newer';
}
