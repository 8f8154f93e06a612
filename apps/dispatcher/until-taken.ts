import { repeat } from '@flux-dispatch/queue/patience';
import { refusalOf } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';

const ASK_AGAIN_MS = 250;

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
export async function untilTaken<T>(write: () => Promise<T>, options: UntilTaken): Promise<T> {
  const step = () =>
    write().then(
      value => ({ value }),
      (error: unknown) => {
        if (!refusalOf(error)?.passes) throw error;
        return undefined;
      },
    );
  const { value } = await repeat(step, { for: 'Redis to take a write', everyMs: ASK_AGAIN_MS, ...options });
  return value;
}
