import { type Receipt, readReceipt } from '@flux-dispatch/queue/receipt';
import type { Queue } from 'bullmq';
import { runsPage } from './html.ts';
import { jobUrl, RUNS } from './queues.ts';
import { runLinks } from './run-links.ts';

/**
 * A page with links to the runs of a dispatch, which Bull Board cannot show where there is more than one; undefined where the
 * dispatch has no receipt.
 * @throws while Redis is away
 */
export async function runsPageOf(
  dispatchId: string,
  receipts: Pick<Queue<Receipt>, 'getJob' | 'getJobState'>,
): Promise<string | undefined> {
  const state = await receipts.getJobState(dispatchId);
  if (state === 'unknown') return undefined;
  const job = await receipts.getJob(dispatchId);
  const receipt = readReceipt(job?.data);
  return job && receipt && runsPage(job.name, runLinks(receipt), jobUrl(RUNS, dispatchId, state));
}
