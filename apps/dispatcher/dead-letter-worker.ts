import { setTimeout as delay } from 'node:timers/promises';
import type { Claims } from '@flux-dispatch/queue/claims';
import { type DeadLetter, deadLetterSchema, deathReason } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJobOptions } from '@flux-dispatch/queue/dispatch-queue';
import { DEAD_LETTER_QUEUE } from '@flux-dispatch/queue/keys';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Job, type Queue, UnrecoverableError, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { STALLED_JOBS } from './worker.ts';

export interface DeadLetterWorkerDependencies {
  readonly redis: Redis;
  readonly prefix: string;
  readonly dispatches: Queue<Dispatch>;
  readonly claims: Claims;
  readonly log: Logger;
}

/**
 * The worker of the dead-letter queue. The first run of an entry parks it: it fails, so that it stands among the failed
 * jobs with its reason. A later run means that an operator pressed Retry on the board, and redrives it.
 */
export function startDeadLetterWorker(dependencies: DeadLetterWorkerDependencies): Worker {
  const { redis, prefix, log } = dependencies;
  const worker = new Worker<DeadLetter>(DEAD_LETTER_QUEUE, job => run(job, dependencies), {
    connection: redis,
    prefix,
    concurrency: 10,
    ...STALLED_JOBS,
  });
  worker.on('error', err => log.debug({ err }, 'Dead-letter worker'));
  return worker;
}

async function run(job: Job<DeadLetter>, dependencies: DeadLetterWorkerDependencies): Promise<void> {
  const { data: entry } = deadLetterSchema.safeParse(job.data);
  if (!entry) throw new UnrecoverableError('This is no dead letter of this version: remove it');
  if (job.attemptsMade === 0) throw new UnrecoverableError(deathReason(entry));

  const parsed = parseDispatch(entry.dispatch);
  const dispatch = parsed.ok ? parsed.dispatch : undefined;
  const outcome = await redrive(job.name, entry, dispatch, dependencies);
  dependencies.log.info(
    {
      outcome,
      dispatch_id: entry.dispatch_id,
      ...(dispatch && { repo: dispatch.repo, event_type: dispatch.event_type }),
    },
    'Dead letter',
  );
}

// A job that has just been buried ends within milliseconds. One whose worker died there takes a minute.
const ENDING_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 50;

/**
 * Puts the dispatch of an entry back on its queue, under its claim, with a retry window of its own. Where a newer
 * dispatch holds the claim, nothing is put back. Doing it again after a crash changes nothing.
 * @param dispatch what the entry holds; undefined where this version cannot read it
 * @throws when the job that died has not ended yet: the entry is parked again
 */
async function redrive(
  name: string,
  { dispatch_id, dedup_id, run: diedRun, dispatch: kept, deaths, first_died_at }: DeadLetter,
  dispatch: Dispatch | undefined,
  { dispatches, claims }: DeadLetterWorkerDependencies,
): Promise<'redriven' | 'replaced_by_newer' | 'delivered_before'> {
  for (const deadline = Date.now() + ENDING_WITHIN_MS; ; await delay(LOOK_AGAIN_MS)) {
    const job = await dispatches.getJob(dispatch_id);
    if (!job) break;
    // One that has died is removed when it ends.
    if (job.finishedOn !== undefined) return 'delivered_before';
    // Only a redrive queues it again: this one, before a crash.
    if (job.timestamp > diedRun) return 'redriven';
    if (Date.now() > deadline) throw new Error('The dispatch has not ended yet: retry in a minute');
  }
  if (dedup_id !== undefined) {
    // A claim in its cooldown, its own or that of another dispatch that has died, would refuse it.
    await claims.endCooldown(dedup_id);
    const holder = await claims.holder(dedup_id);
    if (holder && holder.id !== dispatch_id) return 'replaced_by_newer';
    if (holder?.state === 'delivered') return 'delivered_before';
  }
  const died = { times: deaths, first_at: first_died_at };
  // What this version cannot read goes back as it is, for one that can.
  const data = dispatch ? { ...dispatch, died } : (kept as Dispatch);
  const added = await dispatches.add(name, data, dispatchJobOptions(dispatch_id, dedup_id));
  return added.id === dispatch_id ? 'redriven' : 'replaced_by_newer';
}
