import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';

const CLEAN_EVERY_MS = 60_000;

export interface Retention {
  readonly queue: Pick<Queue, 'clean'>;
  readonly states: readonly ('completed' | 'failed')[];
  /** How long its jobs are kept in these states, in milliseconds. */
  readonly keepMs: number;
  /** What a log line calls them. */
  readonly name: string;
  /** `warn` where something may be lost with them. */
  readonly level: 'warn' | 'debug';
}

/** Removes the jobs of a queue that are past their retention, every minute until it is disposed. */
export function startRetention(
  { queue, states, keepMs, name, level }: Retention,
  log: Pick<Logger, 'warn' | 'debug'>,
): Disposable {
  const clean = async () => {
    try {
      for (const state of states) {
        const { length: removed } = await queue.clean(keepMs, 1000, state);
        if (removed > 0) log[level]({ removed }, `${name} past their retention removed`);
      }
    } catch (err) {
      log.debug({ err }, `${name} could not be cleaned`);
    }
  };
  const timer = setInterval(clean, Math.min(CLEAN_EVERY_MS, keepMs));
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
