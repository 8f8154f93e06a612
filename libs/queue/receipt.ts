import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import { type Dispatch, dispatchName } from './dispatch.ts';
import { RECEIPT_QUEUE } from './keys.ts';
import { TolerantQueue } from './tolerant.ts';

/** A workflow run that belongs to a dispatch. */
export const receiptRunSchema = z.object({
  id: z.number().int(),
  /** Its page. */
  url: z.string(),
  /** The name of the workflow; its path where it has none. */
  workflow: z.string().catch(''),
  /** `exact`: the dispatch id is in its title. `probable`: it fits by its event type and its time. */
  match: z.enum(['exact', 'probable']),
  /** `queued`, `in_progress`, `completed` or whatever else GitHub says. */
  status: z.string(),
  /** `success`, `failure` or whatever else GitHub says; null as long as it runs. */
  conclusion: z.string().nullable(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime().or(z.literal('')).catch(''),
});

export type ReceiptRun = z.infer<typeof receiptRunSchema>;

/**
 * The receipt of a delivered dispatch: which workflow runs came of it. It lives for a week and outlives updates, so a field that
 * a receipt of another version may lack has a default.
 */
export const receiptSchema = z.object({
  /** The id of the dispatch and of this job. */
  dispatch_id: z.string().min(1),
  repo: z.string().min(1),
  event_type: z.string().min(1),
  product: z.string().catch(''),
  environment: z.string().catch(''),
  reason: z.string().catch(''),
  /** `kind namespace/name`. */
  object: z.string().catch(''),
  /** When GitHub accepted the dispatch, by Redis' clock. */
  delivered_at: z.iso.datetime(),
  /** The same by GitHub's own clock, where it said so: its runs are not older. */
  github_time: z.iso.datetime(),
  /** In the order in which they were created. */
  runs: z.array(receiptRunSchema).catch([]),
  /** Why no run came or was found, and what to do about it. Of a receipt that has failed, or completed without runs. */
  finding: z.string().optional().catch(undefined),
  /** How many attempts the job had when the dispatch was last put back on its queue, because an operator pressed Retry. */
  resent: z.number().int().optional().catch(undefined),
  /** The whole dispatch, as long as it may have to be sent again. */
  dispatch: z.unknown().optional(),
});

export type Receipt = z.infer<typeof receiptSchema>;

/** Reads the data of a receipt's job; undefined where it is none. */
export function readReceipt(data: unknown): Receipt | undefined {
  return receiptSchema.safeParse(data).data;
}

/** The queue of receipts. Errors of its connection are logged. */
export function openReceiptQueue(redis: Redis, prefix: string, log: Logger): Queue<Receipt> {
  const queue = new TolerantQueue<Receipt>(RECEIPT_QUEUE, { connection: redis, prefix });
  queue.on('error', err => log.debug({ err }, 'Receipt queue'));
  return queue;
}

/**
 * The receipt of a dispatch that GitHub has just accepted.
 * @param deliveredAt by Redis' clock, in milliseconds since the epoch
 * @param githubTime the same by GitHub's own clock
 */
export function newReceipt(
  dispatch: Dispatch,
  deliveredAt: number,
  githubTime = deliveredAt,
): { name: string; data: Receipt } {
  const { repo, event_type, payload } = dispatch;
  const { dispatch_id, product, environment, reason, flux } = payload;
  const data: Receipt = {
    ...{ dispatch_id, repo, event_type, product, environment, reason },
    object: `${flux.kind} ${flux.namespace}/${flux.name}`,
    delivered_at: new Date(deliveredAt).toISOString(),
    github_time: new Date(githubTime).toISOString(),
    runs: [],
    dispatch,
  };
  return { name: dispatchName(dispatch), data };
}

/** How many receipts have not ended. @throws while Redis is away */
export async function countOpenReceipts(queue: Pick<Queue<Receipt>, 'getJobCountByTypes'>): Promise<number> {
  return queue.getJobCountByTypes('wait', 'active', 'delayed');
}
