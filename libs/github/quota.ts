import type { ResponseHeaders } from './api-result.ts';
import { waitUntilResetMs } from './rate-limit.ts';

/** How much of its hourly limit an installation has left. */
export interface Quota {
  /** From 0 to 1. */
  readonly left: number;
  /** Until the limit is whole again, in milliseconds. */
  readonly resetInMs: number;
}

/** What GitHub last said of the hourly limit of each owner's installation. */
export interface Quotas {
  note(owner: string, headers: ResponseHeaders): void;
  /** undefined where GitHub has not said anything, or the hour is over. */
  of(owner: string): Quota | undefined;
}

/** @param now a clock that only goes forward, in milliseconds */
export function createQuotas(now: () => number): Quotas {
  const byOwner = new Map<string, { left: number; resetsAt: number }>();
  return {
    note(owner, headers) {
      const [limit, remaining] = [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']].map(Number);
      const resetInMs = waitUntilResetMs(headers, Date.now());
      if (!limit || remaining === undefined || Number.isNaN(remaining) || resetInMs === undefined) return;
      byOwner.set(owner.toLowerCase(), { left: remaining / limit, resetsAt: now() + resetInMs });
    },
    of(owner) {
      const known = byOwner.get(owner.toLowerCase());
      const resetInMs = known ? known.resetsAt - now() : 0;
      return known && resetInMs > 0 ? { left: known.left, resetInMs } : undefined;
    },
  };
}
