/** What one controller says about one object, before an Alert adds its metadata. Times are seconds since the epoch. */
export interface ControllerEvent {
  readonly kind: 'Kustomization' | 'HelmRelease';
  readonly name: string;
  readonly uid: string;
  readonly reason: string;
  readonly severity: 'info' | 'error';
  readonly message: string;
  /** undefined where the event has none that can be read. */
  readonly timestamp: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Post {
  readonly kind: 'post';
  readonly object: string;
  readonly event: ControllerEvent;
  /**
   * once: answered. lost: the answer does not arrive, so the same bytes are posted again. both: at two replicas at once.
   */
  readonly delivery: 'once' | 'lost' | 'both';
}

/**
 * How GitHub answers dispatches: away with 503, overloaded with 503 after a while, limiting with 429, and behind a proxy that
 * answers 200 with a page of its own. Those four deliver nothing.
 */
export type Mood = 'well' | 'slow' | 'away' | 'overloaded' | 'limiting' | 'proxied';

/**
 * One thing after another; the posts of different objects between two other steps run side by side, and the restart before
 * them while they run.
 */
export type Step =
  | Post
  /** So long passes for what Redis remembers, in milliseconds. */
  | { readonly kind: 'pass'; readonly ms: number }
  /** Every dispatch that waits has been sent, or has ended otherwise. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'github'; readonly mood: Mood }
  /** Redis is killed, and started again with what it had on disk. */
  | { readonly kind: 'redis' }
  | { readonly kind: 'stop'; readonly app: 'ingest' | 'dispatcher'; readonly signal: 'SIGKILL' | 'SIGTERM' };

export interface Settings {
  readonly DEDUP_MAX_ENTRIES: number;
  /** How far the clock of each replica is off, in seconds. */
  readonly ingestClocks: readonly [number, number];
  readonly dispatcherClocks: readonly [number, number];
}

export interface History {
  readonly seed: number;
  readonly settings: Settings;
  readonly steps: readonly Step[];
}
