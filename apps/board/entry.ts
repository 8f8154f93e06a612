import { type DeadLetter, readDeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import type { Queue } from 'bullmq';
import { RUNS } from './queues.ts';
import type { Refusal } from './refusal.ts';
import type { JobAction } from './routes.ts';

/** What an action is done to. */
export interface Entry {
  /** undefined where the entry does not say. */
  readonly dispatchId: string | undefined;
}

export interface EntryQueues {
  readonly deadLetters: Pick<Queue<DeadLetter>, 'getJob' | 'getJobState'>;
  readonly receipts: Pick<Queue<Receipt>, 'getJobState'>;
}

/**
 * The dead letter or the receipt that an action is for, or why it cannot be done to it. Bull Board would take any key of the queue
 * for a job, and would retry a receipt whose runs have concluded.
 * @throws while Redis is away
 */
export async function findEntry(
  { queue, jobId }: JobAction,
  { deadLetters, receipts }: EntryQueues,
): Promise<Entry | Refusal> {
  if (queue === RUNS.name) {
    const state = await receipts.getJobState(jobId);
    if (state === 'unknown') return NO_RECEIPT;
    return state === 'failed' ? { dispatchId: jobId } : NOT_FAILED;
  }
  if ((await deadLetters.getJobState(jobId)) !== 'failed') return NO_DEAD_LETTER;
  const entry = readDeadLetter((await deadLetters.getJob(jobId))?.data);
  return { dispatchId: entry?.dispatch_id || undefined };
}

const NO_DEAD_LETTER: Refusal = {
  status: 404,
  outcome: 'not_found',
  message: 'there is no such dead letter: it may have been retried or removed',
};

const NO_RECEIPT: Refusal = {
  status: 404,
  outcome: 'not_found',
  message: 'there is no such receipt: it may be older than RUN_RETENTION',
};

const NOT_FAILED: Refusal = {
  status: 400,
  outcome: 'not_possible',
  message: 'only a failed receipt can be retried: a run of this dispatch has started, or may still start',
};
