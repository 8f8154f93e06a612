import type { Finding } from '@flux-dispatch/github/finding';
import type { GitHub } from '@flux-dispatch/github/github';
import type { Claims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { WatchedHeadroom } from '@flux-dispatch/queue/headroom';
import { createPaceGate, createPause, LIMITER_EXHAUSTED } from '@flux-dispatch/queue/limiter';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import { createReceiptSearch } from '@flux-dispatch/queue/receipt-search';
import { redisTime } from '@flux-dispatch/queue/redis';
import { openUnopenedReceipts } from '@flux-dispatch/queue/unopened-receipts';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { DispatcherConfig } from '../config.ts';
import type { DispatcherMetrics } from '../metrics.ts';
import type { RateLimitPause } from '../pause.ts';
import { stopWorker } from '../worker.ts';
import { createDiagnose } from './diagnosis.ts';
import { createFeedback } from './feedback.ts';
import { createLateRuns } from './late-runs.ts';
import { createListings, type SharedAnswer } from './listings.ts';
import { eventLoopUtilization, startOpening } from './opening.ts';
import type { Readers } from './readers.ts';
import { createReceiptProcessor } from './receipt-processor.ts';
import { startReceiptWorker } from './receipt-worker.ts';
import { createRedispatch } from './redispatch.ts';
import { createReceiptReport } from './report.ts';

export interface ReceiptsDependencies {
  readonly github: Pick<GitHub, 'listRuns' | 'quota' | 'diagnose'>;
  readonly redis: Redis;
  readonly dispatches: Queue<Dispatch>;
  readonly queue: Queue<Receipt>;
  readonly claims: Claims;
  readonly readers: Readers;
  readonly headroom: WatchedHeadroom;
  readonly pause: RateLimitPause;
  readonly metrics: DispatcherMetrics;
  readonly log: Logger;
  readonly config: DispatcherConfig;
}

/**
 * The lists of runs that all replicas together ask for: 3,600 an hour at most, where GitHub allows an installation 5,000 or more.
 * One that has not changed does not count there.
 */
const LISTINGS = { max: 60, per: 60_000 };
// A list has 3 pages at most. Each takes DISPATCH_TIMEOUT at most, with a look-up and a token before it.
const PAGES_OF_A_LISTING = 3;

export interface Receipts {
  /** Whether the workflow runs of a dispatch are to be looked for. */
  readonly wants: (dispatch: Dispatch) => Promise<boolean>;
  /** Starts to look for them. Disposing stops it: what is under way ends. */
  start(): AsyncDisposable;
}

/** What finds out which workflow runs came of the dispatches that were delivered. Dispatches go first. */
export function createReceipts(dependencies: ReceiptsDependencies): Receipts {
  const { github, redis, dispatches, queue, claims, readers, headroom, pause, metrics, log, config } =
    dependencies;
  const { QUEUE_PREFIX: prefix } = config;
  const time = () => redisTime(redis);
  const hold = createPause(queue, redis);
  const gate = createPaceGate(queue, redis, LISTINGS);

  async function isNotPaused(): Promise<boolean> {
    const pausedMs = await dispatches.getRateLimitTtl(LIMITER_EXHAUSTED);
    if (pausedMs > 0) await hold('primary', pausedMs);
    return pausedMs <= 0;
  }
  const search = createReceiptSearch<SharedAnswer, Finding>(redis, prefix, {
    openForMs: config.RUN_START_TIMEOUT + config.RUN_FOLLOW_TIMEOUT,
    listForMs: PAGES_OF_A_LISTING * config.DISPATCH_TIMEOUT + 1000,
  });
  const feedback = createFeedback(claims, config);
  const processor = createReceiptProcessor({
    ...{ search, readers, pause, metrics, log, config },
    hold: ({ kind, waitMs }) => hold(kind, waitMs),
    feedback,
    redispatch: createRedispatch({ dispatches, claims, redisTime: time, log }),
    listing: createListings({
      ...{ github, search },
      mayCall: async () => (await isNotPaused()) && (await gate()) === 0,
      onListed: createLateRuns({ search, queue, feedback, log }),
    }),
    diagnose: createDiagnose({ github, search, mayCall: isNotPaused, config }),
    report: createReceiptReport({ metrics, log }),
    redisTime: time,
    now: Date.now,
  });
  return {
    async wants({ repo }) {
      await headroom.known;
      return readers.mayRead(repo) && headroom.room() === undefined;
    },
    start() {
      const started = new AsyncDisposableStack();
      const worker = startReceiptWorker(redis, prefix, processor, log);
      started.adopt(worker, each => stopWorker(each, redis));
      const unopened = openUnopenedReceipts(redis, prefix);
      started.use(
        startOpening({
          ...{ unopened, queue, worker, redisTime: time, log, config },
          utilization: eventLoopUtilization(),
        }),
      );
      return started;
    },
  };
}
