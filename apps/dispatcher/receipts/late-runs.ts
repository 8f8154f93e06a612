import { type RunListing, runsOf } from '@flux-dispatch/github/runs';
import { type Receipt, readReceipt } from '@flux-dispatch/queue/receipt';
import type { ReceiptSearch } from '@flux-dispatch/queue/receipt-search';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Feedback } from './feedback.ts';
import { exactRuns } from './match.ts';

export interface LateRunDependencies {
  readonly search: Pick<ReceiptSearch<unknown, unknown>, 'missing' | 'forgetMissing'>;
  readonly queue: Pick<Queue<Receipt>, 'getJob'>;
  readonly feedback: Pick<Feedback, 'noteRun'>;
  readonly log: Pick<Logger, 'info'>;
}

/**
 * Looks in a list of runs for those of dispatches that were given up: GitHub may start a run after RUN_START_TIMEOUT. Their teams no
 * longer hear that there is none. The receipt stays as it ended.
 */
export function createLateRuns({ search, queue, feedback, log }: LateRunDependencies) {
  return async (repo: string, listing: RunListing): Promise<void> => {
    for (const id of await search.missing(repo)) {
      const [run] = exactRuns(runsOf(listing), id);
      if (!run) continue;
      const receipt = readReceipt((await queue.getJob(id))?.data);
      if (receipt) await feedback.noteRun(receipt);
      await search.forgetMissing(repo, id);
      log.info({ outcome: 'late_run', repo, dispatch_id: id, run: run.url }, 'Receipt');
    }
  };
}
