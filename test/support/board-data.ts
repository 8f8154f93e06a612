import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { newReceipt, type Receipt, type ReceiptRun } from '@flux-dispatch/queue/receipt';
import { until } from '@flux-dispatch/testbed/until';
import { type Queue, UnrecoverableError, Worker } from 'bullmq';
import { testDispatch } from './a-dispatch.ts';
import type { Queues } from './queues.ts';

/** A workflow run as a receipt has it. */
export function testRun(values: Partial<ReceiptRun> = {}): ReceiptRun {
  return {
    ...{ id: 1, url: 'https://github.com/Altinn/dialogporten/actions/runs/1', workflow: 'Deploy' },
    ...{ match: 'exact', status: 'completed', conclusion: 'success' },
    ...{ created_at: '2026-03-05T12:00:01Z', updated_at: '2026-03-05T12:02:00Z' },
    ...values,
  };
}

/** A receipt to be added, and the state that its job is brought to. */
export interface WantedReceipt {
  readonly state: 'failed' | 'completed' | 'delayed' | 'waiting';
  readonly dispatch?: Dispatch;
  readonly runs?: ReceiptRun[];
  readonly finding?: string;
}

/** Adds receipts, each of which ends in the state that it is to have. What waits already is completed. Returns the ids. */
export async function addReceipts(
  { receipts, redis }: Queues,
  wanted: readonly WantedReceipt[],
): Promise<string[]> {
  const jobs = wanted.map(({ dispatch = testDispatch(), runs = [], finding, state }) => {
    const { name, data } = newReceipt(dispatch, Date.now());
    const filled: Receipt = { ...data, runs, ...(finding !== undefined && { finding }) };
    return {
      name,
      data: filled,
      opts: { jobId: data.dispatch_id, delay: state === 'delayed' ? 1e9 : 0 },
      state,
    };
  });
  const ended = jobs.filter(({ state }) => state !== 'waiting');
  await receipts.addBulk(ended);
  const prefix = receipts.opts.prefix ?? '';
  const isEnded = async ({ state, opts }: (typeof jobs)[number]) =>
    (await receipts.getJobState(opts.jobId)) === state;
  const worker = new Worker<Receipt>(
    receipts.name,
    async ({ id, data }) => {
      const state = jobs.find(({ opts }) => opts.jobId === id)?.state;
      if (state === 'failed') throw new UnrecoverableError(data.finding);
    },
    { connection: redis, prefix },
  );
  await until('they have ended', async () => (await Promise.all(ended.map(isEnded))).every(Boolean));
  await worker.close();
  await receipts.addBulk(jobs.filter(({ state }) => state === 'waiting'));
  return jobs.map(({ opts }) => opts.jobId);
}

// KEYS 1: waiting jobs, 2: failed jobs, 3: a job's key without its id
// ARGV 1: time (ms), 2: reason
const PARK_ALL = `
  for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
    redis.call('ZADD', KEYS[2], ARGV[1], id)
    redis.call('HSET', KEYS[3] .. id, 'failedReason', ARGV[2])
  end
  redis.call('DEL', KEYS[1])
`;

/** Adds dead letters that are parked, without a dispatcher, which would park them one by one. */
export async function addDeadLetters(
  { deadLetters, redis }: { readonly deadLetters: Queue<DeadLetter>; readonly redis: Queues['redis'] },
  dispatches: readonly Dispatch[],
): Promise<void> {
  const now = new Date().toISOString();
  const jobs = dispatches.map(dispatch => {
    const { dedup_id, payload } = dispatch;
    const data: DeadLetter = {
      hint: 'Install the App on the repository',
      error: { code: '404', message: 'GitHub answered 404' },
      ...{ attempts: 1, deaths: 1, first_died_at: now, last_died_at: now, run: Date.now() },
      ...{ dispatch_id: payload.dispatch_id, dedup_id, dispatch },
    };
    const name = 'Altinn/dialogporten flux-deploy at23 ReconciliationSucceeded';
    return { name, data, opts: { jobId: dedup_id } };
  });
  await deadLetters.addBulk(jobs);
  const keys = ['wait', 'failed', ''].map(type => deadLetters.toKey(type));
  await redis.eval(PARK_ALL, keys.length, ...keys, Date.now(), 'GitHub answered 404');
}
