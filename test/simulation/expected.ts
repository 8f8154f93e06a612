import type { Class } from './events.ts';
import { mayBeReceived, type Outage, type ReceivedAt } from './outages.ts';
import type { Span } from './span.ts';

/** A dispatch that was accepted, and whether GitHub is to receive it. */
export interface Expected {
  readonly dispatchId: string;
  readonly what: string;
  readonly class: Class | 'recovery';
  readonly reason: string;
  readonly repo: string;
  readonly eventType: string;
  readonly time: Span;
  readonly object: string;
  /** must: once. may: it was superseded while it may have been on its way. never: superseded while it could not be sent. */
  fate: 'must' | 'may' | 'never';
  /** A dispatcher that may have been sending it was killed, so GitHub may receive it twice. */
  mayRepeat: boolean;
  /** An attempt at it may have been cut off: by the death of its dispatcher, or of Redis. */
  isInterrupted: boolean;
  /** Milliseconds since the epoch, before which it was not accepted. */
  readonly acceptedAt: number;
  /** Milliseconds since the epoch, before which it is not sent. */
  readonly notBefore: number;
  /** Of a failure that may be sent, its outage. Of a recovery, the one that ended; several where it cannot be told which. */
  readonly outages: readonly Outage[];
  /** Of a recovery, every success of its object that was noted by then, whichever Alert took it. The first one ended the outage. */
  readonly successes: readonly Span[];
}

/** Whether a recovery is sent, once all is settled: where a failure of its outage was. */
export function recoveryFate({ fate, outages }: Expected, receivedAt: ReceivedAt): Expected['fate'] {
  const failures = outages.flatMap(outage => outage.failures);
  if (!failures.some(failure => mayBeReceived(failure, receivedAt))) return 'never';
  const isReceived = failures.some(({ dispatchId }) => receivedAt(dispatchId) !== undefined);
  const isClear = outages.length === 1 && !outages[0]?.isLoose && !outages[0]?.isDoubtful;
  return isReceived && isClear ? 'must' : fate;
}
