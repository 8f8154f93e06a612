import { repeat } from '@flux-dispatch/queue/patience';
import type { Logger } from '@flux-dispatch/runtime/log';

/** What a Redis answers that is reachable but takes no writes for now: without replicas, with a full disk, in a failover. */
const REFUSED_FOR_NOW = /^(NOREPLICAS|MISCONF|READONLY|OOM|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;
const ASK_AGAIN_MS = 250;

/** Whether Redis refused something that it will take later, as it is. */
export function isRefusedForNow(error: unknown): boolean {
  return error instanceof Error && REFUSED_FOR_NOW.test(error.message);
}

export interface UntilTaken {
  readonly log: Pick<Logger, 'warn'>;
  /** Fields of the log line. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Milliseconds. Default: 30 s. */
  readonly patienceMs?: number;
}

/**
 * Repeats a write until Redis takes it. While Redis is away, the connection itself waits.
 * @throws {GaveUpWaiting} where it is refused for more than 30 s; at once where it is refused for good
 */
export async function untilTaken(write: () => Promise<void>, options: UntilTaken): Promise<void> {
  const step = () =>
    write().then(
      () => true,
      (error: unknown) => {
        if (!isRefusedForNow(error)) throw error;
        return undefined;
      },
    );
  await repeat(step, { for: 'Redis to take a write', everyMs: ASK_AGAIN_MS, ...options });
}
