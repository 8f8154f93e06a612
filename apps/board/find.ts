import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { FindDeadLetter } from '@flux-dispatch/queue/find-dead-letter';
import { type Receipt, readReceipt } from '@flux-dispatch/queue/receipt';
import type { Queue } from 'bullmq';
import { DEAD_LETTERS, DISPATCHES, jobUrl, RUNS } from './queues.ts';

export interface FindDependencies {
  readonly dispatches: Pick<Queue<Dispatch>, 'getJob' | 'getJobState'>;
  readonly deadLetters: Pick<Queue<DeadLetter>, 'getJobState'>;
  readonly receipts: Pick<Queue<Receipt>, 'getJob' | 'getJobState'>;
  readonly findDeadLetter: FindDeadLetter;
}

/** Where a dispatch is. */
export type Found =
  | { readonly kind: 'found'; readonly url: string }
  | { readonly kind: 'nowhere' }
  /** Nowhere but perhaps among older dead letters, which were not looked at. */
  | { readonly kind: 'not_among_newest'; readonly lookedAt: number };

/**
 * Finds the page of a dispatch by its id: on its way, else dead, else with its receipt, else among the newest deliveries.
 * The id of a dead letter finds that one.
 * @throws while Redis is away
 */
export async function findDispatch(
  id: string,
  { dispatches, deadLetters, receipts, findDeadLetter }: FindDependencies,
): Promise<Found> {
  const [dispatchState, receiptState, entryState] = await Promise.all([
    dispatches.getJobState(id),
    receipts.getJobState(id),
    deadLetters.getJobState(id),
  ]);
  if (entryState !== 'unknown') return { kind: 'found', url: jobUrl(DEAD_LETTERS, id, entryState) };
  const dispatchPage: Found = { kind: 'found', url: jobUrl(DISPATCHES, id, dispatchState) };
  const [hasDispatch, hasReceipt] = [dispatchState !== 'unknown', receiptState !== 'unknown'];
  if (hasDispatch && dispatchState !== 'completed') return dispatchPage;

  // One that an operator has sent again after its receipt may have died since.
  const dedupId = hasReceipt
    ? dedupIdOf(readReceipt((await receipts.getJob(id))?.data)?.dispatch)
    : hasDispatch
      ? dedupIdOf((await dispatches.getJob(id))?.data)
      : undefined;
  const isDelivered = (hasReceipt || hasDispatch) && dedupId === undefined;
  const dead = isDelivered ? ({ kind: 'absent' } as const) : await findDeadLetter(id, dedupId);
  if (dead.kind === 'found') {
    const state = await deadLetters.getJobState(dead.entryId);
    return { kind: 'found', url: jobUrl(DEAD_LETTERS, dead.entryId, state) };
  }
  if (hasReceipt) return { kind: 'found', url: jobUrl(RUNS, id, receiptState) };
  if (hasDispatch) return dispatchPage;
  return dead.kind === 'absent' ? { kind: 'nowhere' } : dead;
}

function dedupIdOf(data: unknown): string | undefined {
  const parsed = parseDispatch(data);
  return parsed.ok ? parsed.dispatch.dedup_id : undefined;
}
