import { type DeadLetter, deathReason, readDeadLetter } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import { DEAD_LETTER_QUEUE } from '@flux-dispatch/queue/keys';
import { TolerantWorker } from '@flux-dispatch/queue/tolerant';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Job, UnrecoverableError, type Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { type RedriveDependencies, redrive } from './redrive.ts';
import { logErrors, STALLED_JOBS } from './worker.ts';

export interface DeadLetterWorkerDependencies extends RedriveDependencies {
  readonly redis: Redis;
  readonly prefix: string;
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
  const { dedup_id, run: diedRun, deaths, first_died_at } = entry;
  const died = { times: deaths, first_at: first_died_at || new Date(job.timestamp).toISOString() };
  const redriven = {
    ...{ id: dispatchId, name: job.name, dedupId: dedup_id, streamId: dispatch?.stream_id },
    // What this version cannot read goes back as it is, for one that can.
    data: dispatch ? { ...dispatch, died } : (entry.dispatch as Dispatch),
    ...{ run: diedRun, resend: false },
  };
  // Where the job that died has not ended yet, this throws, and the entry is parked again with that as its reason.
  const outcome = await redrive(redriven, dependencies);
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
  const reason = 'This entry contains no dispatch that can be sent: remove it';
  log.warn({ outcome: 'unreadable', job_id: id, error: reason }, 'Dead letter');
  return new UnrecoverableError(reason);
}
