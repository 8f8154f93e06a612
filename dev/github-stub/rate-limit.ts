import { z } from 'zod';

/** GitHub's primary limit: so many requests in a fixed window that opens with the first of them. */
export const rateLimitSchema = z.strictObject({
  limit: z.int().positive().default(15_000),
  windowMs: z.int().positive().default(3_600_000),
});
export type RateLimitSettings = z.input<typeof rateLimitSchema>;

/** What GitHub says about the primary limit on every answer. */
export interface RateLimitState {
  readonly limit: number;
  readonly used: number;
  /** When the window ends, in epoch seconds. */
  readonly reset: number;
  readonly exceeded: boolean;
}

/**
 * The primary limit, for each caller by itself. GitHub gives 15,000 an hour to an installation of an Enterprise
 * organization, 5,000 to the App's JWT and 60 to strangers; here all have the same, so that a test about bad
 * credentials does not turn into one about limits.
 */
export class PrimaryLimit {
  readonly #windows = new Map<string, { used: number; endsAt: number }>();
  #settings = rateLimitSchema.parse({});

  /** Takes effect with windows of its own. */
  configure(settings: RateLimitSettings): void {
    this.#settings = rateLimitSchema.parse(settings);
    this.#windows.clear();
  }

  /** Counts one request of `caller`. */
  count(caller: string, nowMs: number): RateLimitState {
    const { limit, windowMs } = this.#settings;
    let window = this.#windows.get(caller);
    if (!window || window.endsAt <= nowMs) {
      window = { used: 0, endsAt: nowMs + windowMs };
      this.#windows.set(caller, window);
    }
    const exceeded = window.used >= limit;
    if (!exceeded) window.used += 1;
    return { limit, used: window.used, reset: Math.ceil(window.endsAt / 1000), exceeded };
  }

  /** Takes back what was counted for a request of `caller`, and answers how the caller stands then. */
  refund(caller: string, counted: RateLimitState): RateLimitState {
    const window = this.#windows.get(caller);
    if (window && window.used > 0) window.used -= 1;
    return { ...counted, used: counted.used - 1 };
  }
}

/** GitHub's secondary limit, off until switched on. */
export const secondaryLimitSchema = z.strictObject({
  enabled: z.boolean(),
  /** A request that writes costs 5 points, one that reads costs 1. */
  points: z.int().positive().default(900),
  windowMs: z.int().positive().default(60_000),
  /** What the refusal says in its `retry-after`. */
  retryAfterSeconds: z.int().nonnegative().default(60),
});
export type SecondaryLimitSettings = z.input<typeof secondaryLimitSchema>;

/**
 * The secondary limit, for each caller by itself, over a sliding window: a client that keeps to it only within
 * fixed windows is found out.
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits
 */
export class SecondaryLimit {
  readonly #spent = new Map<string, { at: number; points: number }[]>();
  #settings = secondaryLimitSchema.parse({ enabled: false });

  /** Starts with an empty window. */
  configure(settings: SecondaryLimitSettings): void {
    this.#settings = secondaryLimitSchema.parse(settings);
    this.#spent.clear();
  }

  /** Spends the request's points, or answers after how many seconds to come back: a refusal costs nothing. */
  spend(caller: string, method: string, nowMs: number): { readonly retryAfterSeconds: number } | undefined {
    const { enabled, points, windowMs, retryAfterSeconds } = this.#settings;
    if (!enabled) return undefined;
    const cost = method === 'GET' || method === 'HEAD' ? 1 : 5;
    const recent = (this.#spent.get(caller) ?? []).filter(({ at }) => at > nowMs - windowMs);
    this.#spent.set(caller, recent);
    if (recent.reduce((sum, entry) => sum + entry.points, cost) > points) return { retryAfterSeconds };
    recent.push({ at: nowMs, points: cost });
    return undefined;
  }
}
