import type { Claims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Attempt } from './attempt.ts';
import { untilTaken } from './until-taken.ts';

/** Records in Redis what GitHub has accepted. */
export interface Delivered {
  /**
   * Records that a dispatch was delivered, so that it is not sent again and its receipt is opened.
   * @param githubTime when GitHub accepted it, by GitHub's clock, in milliseconds since the epoch
   * @returns when, by Redis' clock, in milliseconds since the epoch
   * @throws {GaveUpWaiting} where Redis refuses the write for more than 30 s
   */
  settle(attempt: Attempt, githubTime: number | undefined): Promise<number>;
  /**
   * Does the same where an earlier attempt of this process was delivered, and Redis refused to record it. Returns whether that was
   * so.
   */
  settleLate(attempt: Attempt): Promise<boolean>;
}

// Those that another replica takes up stay here. Far more than a process has under way.
const MAX_UNSETTLED = 1000;

export interface DeliveredDependencies {
  readonly claims: Pick<Claims, 'settleDelivered'>;
  /** Whether the workflow runs of a dispatch are to be looked for. */
  readonly wantsReceipt: (dispatch: Dispatch) => Promise<boolean>;
  readonly log: Pick<Logger, 'warn'>;
}

export function createDelivered({ claims, wantsReceipt, log }: DeliveredDependencies): Delivered {
  // This process may well get the job again that it gave back, and then does not send it a second time.
  const unsettled = new Map<string, number | undefined>();
  const runOf = ({ id, job }: Attempt) => `${id} ${job.timestamp}`;

  async function settle(attempt: Attempt, githubTime: number | undefined): Promise<number> {
    const { id, dispatch } = attempt;
    const run = runOf(attempt);
    unsettled.set(run, githubTime);
    const [oldest] = unsettled.keys();
    if (unsettled.size > MAX_UNSETTLED && oldest !== undefined) unsettled.delete(oldest);
    const receipt = (await wantsReceipt(dispatch)) ? (githubTime ?? 'unknown') : undefined;
    const options = { log, about: { dispatch_id: id } };
    const settledAt = await untilTaken(() => claims.settleDelivered(id, dispatch, receipt), options);
    unsettled.delete(run);
    return settledAt;
  }

  return {
    settle,
    async settleLate(attempt) {
      const run = runOf(attempt);
      if (!unsettled.has(run)) return false;
      await settle(attempt, unsettled.get(run));
      return true;
    },
  };
}
