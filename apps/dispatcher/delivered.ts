import type { Claims } from '@flux-dispatch/queue/claims';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Attempt } from './attempt.ts';
import { untilTaken } from './until-taken.ts';

/** Records in Redis what GitHub has accepted. */
export interface Delivered {
  /**
   * Records that a dispatch was delivered, so that it is not sent again.
   * @returns when, by Redis' clock, in milliseconds since the epoch
   * @throws {GaveUpWaiting} where Redis refuses the write for more than 30 s
   */
  settle(attempt: Attempt): Promise<number>;
  /** Whether an earlier attempt of this process was delivered, and Redis refused to record it. */
  isUnsettled(attempt: Attempt): boolean;
}

// Those that another replica takes up stay here. Far more than a process has under way.
const MAX_UNSETTLED = 1000;

export function createDelivered(
  { settleDelivered }: Pick<Claims, 'settleDelivered'>,
  log: Pick<Logger, 'warn'>,
): Delivered {
  // This process may well get the job again that it gave back, and then does not send it a second time.
  const unsettled = new Set<string>();
  const runOf = ({ id, job }: Attempt) => `${id} ${job.timestamp}`;
  return {
    async settle(attempt) {
      const { id, dispatch } = attempt;
      const run = runOf(attempt);
      unsettled.add(run);
      const [oldest] = unsettled;
      if (unsettled.size > MAX_UNSETTLED && oldest !== undefined) unsettled.delete(oldest);
      const options = { log, about: { dispatch_id: id } };
      const settledAt = await untilTaken(() => settleDelivered(id, dispatch), options);
      unsettled.delete(run);
      return settledAt;
    },
    isUnsettled: attempt => unsettled.has(runOf(attempt)),
  };
}
