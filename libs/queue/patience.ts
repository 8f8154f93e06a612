import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@flux-dispatch/runtime/log';

/** How long a worker holds a job for something in Redis, before it gives the job back to its queue. */
const PATIENCE_MS = 30_000;
const GIVEN_BACK = 'the job goes back to its queue and is tried again later';

/** A wait has taken too long, which is in the log: the job is to be tried again later. */
export class GaveUpWaiting extends Error {
  override readonly name = 'GaveUpWaiting';
}

export interface Wait {
  /** What is waited for, to complete "waited 30 s for". */
  readonly for: string;
  /** How long to wait between two tries, in milliseconds. */
  readonly everyMs: number;
  readonly log: Pick<Logger, 'warn'>;
  /** Further fields of the log line. */
  readonly about?: Readonly<Record<string, unknown>>;
  /** How long to wait in all, in milliseconds. Default: 30 s. */
  readonly patienceMs?: number;
  /** What happens after that. Default: the job goes back to its queue. */
  readonly otherwise?: string;
}

/**
 * Repeats `step` until it returns something.
 * @throws {GaveUpWaiting} after 30 s, with a line in the log; at once what `step` throws
 */
export async function repeat<T>(step: () => Promise<T | undefined>, wait: Wait): Promise<T> {
  const { everyMs, log, about, patienceMs = PATIENCE_MS, otherwise = GIVEN_BACK } = wait;
  const startedAt = performance.now();
  for (;;) {
    const result = await step();
    if (result !== undefined) return result;
    if (performance.now() - startedAt >= patienceMs) {
      const message = `Waited ${patienceMs / 1000} s for ${wait.for}: ${otherwise}`;
      log.warn({ ...about }, message);
      throw new GaveUpWaiting(message);
    }
    await delay(everyMs);
  }
}
