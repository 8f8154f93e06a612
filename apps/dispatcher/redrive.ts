import type { Claims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJobOptions, LAST_PRIORITY } from '@flux-dispatch/queue/dispatch-queue';
import { repeat } from '@flux-dispatch/queue/patience';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';

export interface RedriveDependencies {
  readonly dispatches: Pick<Queue<Dispatch>, 'getJob' | 'add' | 'remove'>;
  readonly claims: Pick<Claims, 'endCooldown' | 'holder' | 'reopen'>;
  /** The clock that all processes share, in milliseconds since the epoch. */
  readonly redisTime: () => Promise<number>;
  readonly log: Pick<Logger, 'warn'>;
}

/** A dispatch that an operator has put back. */
export interface Redriven {
  /** The id of the dispatch and of its job. */
  readonly id: string;
  /** The name of its job. */
  readonly name: string;
  /** The id of its claim. A job that is no dispatch may have none. */
  readonly dedupId: string | undefined;
  /** Undefined where its claim alone remembers it, or where this version cannot read it. */
  readonly streamId: string | undefined;
  /** What is queued. */
  readonly data: Dispatch;
  /** When the job that has ended was queued, in milliseconds since the epoch: tells it from the one that this queues. */
  readonly run: number;
  /**
   * It was delivered, and is to be sent once more under the same id. Otherwise it has died, and is not sent if it turns out to be
   * delivered.
   */
  readonly resend: boolean;
}

export type RedriveOutcome = 'redriven' | 'replaced_by_newer' | 'delivered_before';

// A job that has just been buried ends within milliseconds. One whose worker died there takes a minute, which is too long to
// hold a slot.
const ENDING_WITHIN_MS = 5000;
const LOOK_AGAIN_MS = 50;

/**
 * Puts a dispatch back on its queue, under its claim, with a retry window of its own. Where another dispatch holds the claim,
 * nothing is put back. Doing it again after a crash changes nothing.
 * @throws {GaveUpWaiting} when its job has not ended within 5 s
 */
export async function redrive(
  redriven: Redriven,
  dependencies: RedriveDependencies,
): Promise<RedriveOutcome> {
  const { id, name, dedupId, streamId, data, run, resend } = redriven;
  const { dispatches, claims, redisTime, log } = dependencies;
  const before = await repeat(
    async () => {
      const job = await dispatches.getJob(id);
      if (!job) return 'none';
      // Only a redrive queues it again: this one, before a crash.
      const isRedriven = job.timestamp > run;
      if (isRedriven && (resend || job.finishedOn === undefined)) return 'redriven';
      if (job.finishedOn === undefined) return undefined;
      // One that has died is removed when it ends. This one was delivered, and is kept for operators to look at.
      if (!resend) return 'delivered_before';
      await dispatches.remove(id);
      return 'none';
    },
    {
      for: 'the job of this dispatch to end',
      otherwise: 'it stays on the board, retry it in a minute',
      ...{ everyMs: LOOK_AGAIN_MS, patienceMs: ENDING_WITHIN_MS, log, about: { dispatch_id: id } },
    },
  );
  if (before !== 'none') return before;
  if (dedupId !== undefined) {
    // A claim in its cooldown, its own or that of another dispatch that has died, would refuse it.
    await (resend ? claims.reopen(id, dedupId) : claims.endCooldown(dedupId));
    const holder = await claims.holder({ dedup_id: dedupId, stream_id: streamId });
    if (holder && holder.id !== id) return 'replaced_by_newer';
    if (holder?.state === 'delivered' && !resend) return 'delivered_before';
  }
  const added = await dispatches.add(name, data, {
    ...dispatchJobOptions(id, dedupId, LAST_PRIORITY),
    // A run of its own, also where the one before was queued by a clock that is ahead of this one.
    timestamp: Math.max(await redisTime(), run + 1),
  });
  return added.id === id ? 'redriven' : 'replaced_by_newer';
}
