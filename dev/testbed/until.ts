import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;

/** What a check returns to wait on, with the reason why it is not over yet. */
export class NotYet {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Thrown when time is up. */
export class TimedOut extends Error {
  readonly seconds: number;
  /** Why it was not over at the last check, where the check said so. */
  readonly reason: string | undefined;
  constructor(what: string, seconds: number, reason: string | undefined) {
    super(`Timed out after ${seconds} s waiting until ${what}${reason === undefined ? '' : `: ${reason}`}`);
    this.seconds = seconds;
    this.reason = reason;
  }
}

type Pending = undefined | false | NotYet;

/**
 * Waits until `check` returns something other than undefined, false or a {@link NotYet}, and returns it.
 * @param what a clause that completes "waiting until", such as "ingest is ready"
 * @throws {TimedOut} after `timeoutMs`, with the last reason; at once what `check` throws
 */
export async function until<T>(
  what: string,
  check: () => T | Pending | Promise<T | Pending>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false && !(value instanceof NotYet)) return value;
    if (performance.now() > deadline) {
      throw new TimedOut(what, timeoutMs / 1000, value instanceof NotYet ? value.reason : undefined);
    }
    await delay(POLL_MS);
  }
}
