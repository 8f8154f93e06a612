import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { newReceipt, type Receipt } from '@flux-dispatch/queue/receipt';
import type { UnopenedReceipts } from '@flux-dispatch/queue/unopened-receipts';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { BulkJobOptions, Queue, Worker } from 'bullmq';
import { nextLook, type ReceiptTimes } from './schedule.ts';

export interface OpeningDependencies {
  readonly unopened: UnopenedReceipts;
  readonly queue: Pick<Queue<Receipt>, 'addBulk'>;
  /** Looks at receipts. */
  readonly worker: Pick<Worker, 'pause' | 'resume'>;
  /** The clock that all processes share, in milliseconds since the epoch. */
  readonly redisTime: () => Promise<number>;
  /** The share of the time since the last call in which this process was busy, from 0 to 1. */
  readonly utilization: () => number;
  readonly log: Pick<Logger, 'debug'>;
  readonly config: ReceiptTimes & {
    /** Milliseconds. */
    readonly RUN_RETENTION: number;
  };
}

const EVERY_MS = 500;
// Receipts that have ended. They keep no payload, but for those that have failed.
const MAX_ENDED = 5000;
// The share of the processor's time beyond which receipts leave it to dispatches, and for how long at most.
const BUSY = 0.7;
const LONGEST_MS = 30_000;

/**
 * Puts receipts on their queue, a moment after their dispatches were delivered. While this process has all hands full, receipts
 * stand back: neither are they opened nor looked at. Another replica may have time.
 */
export function startOpening(dependencies: OpeningDependencies): AsyncDisposable {
  const { unopened, queue, worker, utilization, log } = dependencies;
  let busySince: number | undefined;

  function isBusy(): boolean {
    busySince = utilization() > BUSY ? (busySince ?? Date.now()) : undefined;
    if (busySince === undefined || Date.now() - busySince < LONGEST_MS) return busySince !== undefined;
    busySince = undefined;
    return false;
  }

  async function open(): Promise<void> {
    for (;;) {
      const receipts = await unopened.some();
      if (receipts.length === 0) return;
      const now = await dependencies.redisTime();
      await queue.addBulk(receipts.map(each => receiptJob(each, now)));
      await unopened.forget(receipts);
    }
  }

  const stopped = new AbortController();
  async function keepOpening(): Promise<void> {
    while (!stopped.signal.aborted) {
      if (isBusy()) {
        await worker.pause(true);
      } else {
        worker.resume();
        await open().catch(err => log.debug({ err }, 'Receipts could not be opened'));
      }
      await delay(EVERY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
    }
  }

  function receiptJob({ dispatch, deliveredAt, githubTime }: Unopened, now: number) {
    const { config } = dependencies;
    const { name, data } = newReceipt(dispatch, deliveredAt, githubTime);
    const keep = { age: Math.ceil(config.RUN_RETENTION / 1000), count: MAX_ENDED };
    const opts: BulkJobOptions = {
      jobId: data.dispatch_id,
      delay: Math.max(0, deliveredAt + nextLook(0, config) - now),
      removeOnComplete: keep,
      removeOnFail: keep,
    };
    return { name, data, opts };
  }

  const opening = keepOpening();
  return {
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await opening;
    },
  };
}

type Unopened = Awaited<ReturnType<UnopenedReceipts['some']>>[number];

/** Measures how busy the event loop of this process is, from one call to the next. */
export function eventLoopUtilization(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}
