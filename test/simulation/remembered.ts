import type { Outages } from './outages.ts';
import type { Span } from './span.ts';

/** The events of one object, class, repository and event type, as far as the model remembers them. */
export interface Stream {
  newest: { id: string; time: Span };
  /** By identity: when it was enqueued, by the event's time and by the model's clock. Of successes the newest alone. */
  readonly enqueued: Map<string, { readonly time: Span; readonly clock: number }>;
  /** What may have been forgotten since: all of it, or nothing. */
  doubtful: Set<string>;
  /** By the model's clock. */
  seen: number;
}

/** An object towards a repository. */
export interface Target {
  readonly outages: Outages;
  /** Every success that was noted, in the order of their arrival. */
  readonly successes: Span[];
  /** Its newest success. */
  recovered: Span | undefined;
  /** By the model's clock: its last success, or failure that was tried. */
  seen: number;
}
