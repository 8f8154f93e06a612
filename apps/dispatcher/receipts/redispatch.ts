import type { Claims } from '@flux-dispatch/queue/claims';
import { dispatchName, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import { type RedriveDependencies, type RedriveOutcome, redrive } from '../redrive.ts';

/** What an operator's Retry of a failed receipt does to its dispatch. */
export interface Redispatch {
  /** Puts the dispatch back on its queue, under the same id. @throws {GaveUpWaiting} where its job has not ended yet */
  resend(receipt: Receipt): Promise<Exclude<RedriveOutcome, 'delivered_before'> | 'unreadable'>;
  /** What has become of a dispatch that was put back. */
  stateOf(receipt: Receipt): Promise<ResentState>;
}

/** `not_sent`: it was superseded, or GitHub refused it. */
export type ResentState = 'pending' | 'sent' | 'not_sent';

export interface RedispatchDependencies extends RedriveDependencies {
  readonly claims: RedriveDependencies['claims'] & Pick<Claims, 'isDelivered'>;
}

export function createRedispatch(dependencies: RedispatchDependencies): Redispatch {
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
    async stateOf({ dispatch_id, dispatch }) {
      const { dispatches, claims } = dependencies;
      const job = await dispatches.getJob(dispatch_id);
      if (job && job.finishedOn === undefined) return 'pending';
      const parsed = parseDispatch(dispatch);
      if (!parsed.ok) return 'sent';
      const { dedup_id, stream_id } = parsed.dispatch;
      // Its job says so itself. One that has died is gone, and so is one that was delivered long ago.
      if (job) return (await claims.isDelivered(dispatch_id, dedup_id)) ? 'sent' : 'not_sent';
      const holder = await claims.holder({ dedup_id, stream_id });
      return holder?.id === dispatch_id && holder.state === 'dead' ? 'not_sent' : 'sent';
    },
  };
}
