import type { Check } from '@flux-dispatch/runtime/ops-server';

/** How long jobs may be due, with nothing in the way, while this worker takes none. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 5000;

/** What a look at the queue shows. */
export interface QueueLook {
  /** Whether a job waits that could be taken at once. */
  readonly due: boolean;
  /** Whether the pace or a pause holds the queue back. */
  readonly held: boolean;
}

export interface Progress extends Disposable {
  /** The processor, with its jobs being seen. */
  watched<Job>(processor: (job: Job) => Promise<void>): (job: Job) => Promise<void>;
  /** Looks at the queue, which happens by itself every few seconds. */
  check(): Promise<void>;
  /** Fails when this worker takes no jobs any more: BullMQ workers have stayed "running" after a failover and taken none. */
  readonly alive: Check;
}

/**
 * Watches whether the worker makes progress.
 * @param look throws while Redis is away or refuses writes, which is no fault of the worker
 * @param concurrency how many jobs the worker has under way at most: then it takes none for a good reason
 */
export function watchProgress(
  look: () => Promise<QueueLook>,
  concurrency: number,
  now: () => number = Date.now,
): Progress {
  let stuckSince: number | undefined;
  let underWay = 0;

  const check = async () => {
    const startedAt = now();
    const idle = await look().then(
      ({ due, held }) => due && !held && underWay < concurrency,
      () => false,
    );
    stuckSince = idle ? (stuckSince ?? startedAt) : undefined;
  };
  const timer = setInterval(check, LOOK_EVERY_MS);
  timer.unref();
  return {
    check,
    watched: processor => async job => {
      stuckSince = undefined;
      underWay++;
      try {
        await processor(job);
      } finally {
        underWay--;
      }
    },
    async alive() {
      const stuckMs = stuckSince === undefined ? 0 : now() - stuckSince;
      if (stuckMs <= PATIENCE_MS) return undefined;
      return `jobs have been due for ${Math.round(stuckMs / 1000)} s and this worker takes none: restart it`;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
