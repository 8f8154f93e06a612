import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { WatchedHeadroom } from '@flux-dispatch/queue/headroom';
import { newReceipt, type Receipt } from '@flux-dispatch/queue/receipt';
import { failureText } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Readers } from './readers.ts';
import { nextLook, type ReceiptTimes } from './schedule.ts';

/**
 * Opens the receipt of a dispatch that GitHub has accepted. Doing it again changes nothing. Never rejects: without a receipt the
 * dispatch is delivered all the same.
 * @param deliveredAt by Redis' clock, in milliseconds since the epoch
 * @param githubTime the same by GitHub's own clock
 */
export type OpenReceipt = (dispatch: Dispatch, deliveredAt: number, githubTime?: number) => Promise<void>;

export interface OpenReceiptDependencies {
  readonly queue: Pick<Queue<Receipt>, 'add'>;
  readonly readers: Pick<Readers, 'mayRead'>;
  /** Whether Redis has room for receipts. */
  readonly headroom: Pick<WatchedHeadroom, 'known' | 'room' | 'took'>;
  readonly log: Pick<Logger, 'warn'>;
  readonly config: ReceiptTimes & {
    /** Milliseconds. */
    readonly RUN_RETENTION: number;
  };
}

// Receipts that have ended. They keep no payload, but for those that have failed.
const MAX_ENDED = 5000;

export function createOpenReceipt({
  queue,
  readers,
  headroom,
  log,
  config,
}: OpenReceiptDependencies): OpenReceipt {
  const keep = { age: Math.ceil(config.RUN_RETENTION / 1000), count: MAX_ENDED };
  const delay = nextLook(0, config);
  return async (dispatch, deliveredAt, githubTime) => {
    await headroom.known;
    if (!readers.mayRead(dispatch.repo) || headroom.room() !== undefined) return;
    const { dispatch_id } = dispatch.payload;
    const { name, data } = newReceipt(dispatch, deliveredAt, githubTime);
    const options = { jobId: dispatch_id, delay, removeOnComplete: keep, removeOnFail: keep };
    headroom.took(data);
    await queue.add(name, data, options).catch(error => {
      const fields = { dispatch_id, error: failureText(error) };
      log.warn(fields, 'The dispatch was delivered, and its workflow run is not looked for');
    });
  };
}
