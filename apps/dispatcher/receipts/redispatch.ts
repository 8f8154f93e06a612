import { dispatchName, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import { type RedriveDependencies, type RedriveOutcome, redrive } from '../redrive.ts';

/** What an operator's Retry of a failed receipt does to its dispatch. */
export interface Redispatch {
  /** Puts the dispatch back on its queue, under the same id. @throws {GaveUpWaiting} where its job has not ended yet */
  resend(receipt: Receipt): Promise<Exclude<RedriveOutcome, 'delivered_before'> | 'unreadable'>;
  /** Whether a dispatch waits to be sent. */
  isPending(dispatchId: string): Promise<boolean>;
}

export function createRedispatch(dependencies: RedriveDependencies): Redispatch {
  return {
    async resend(receipt) {
      const parsed = parseDispatch(receipt.dispatch);
      if (!parsed.ok) return 'unreadable';
      const { dispatch } = parsed;
      const { dedup_id: dedupId, stream_id: streamId } = dispatch;
      const outcome = await redrive(
        {
          ...{ id: receipt.dispatch_id, name: dispatchName(dispatch), dedupId, streamId, data: dispatch },
          // By Redis' clock, as the jobs of the dispatch are: it was queued before it was delivered.
          run: Date.parse(receipt.delivered_at),
          resend: true,
        },
        dependencies,
      );
      if (outcome === 'delivered_before')
        throw new Error('A delivery does not keep a dispatch from being sent again');
      return outcome;
    },
    async isPending(dispatchId) {
      const job = await dependencies.dispatches.getJob(dispatchId);
      return job !== undefined && job.finishedOn === undefined;
    },
  };
}
