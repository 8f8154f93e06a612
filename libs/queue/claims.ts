import type { Redis } from 'ioredis';
import type { Dispatch } from './dispatch.ts';
import { claimKeys } from './keys.ts';
import { defineScript } from './script.ts';

/**
 * BullMQ's `deduplication` sets the claim of a deployment in the script that enqueues the job, so one never exists
 * without the other. The claim holds the job's id and does not expire while the job is pending. The scripts here run
 * before that and after it.
 */
export interface Claims {
  /**
   * Whether an event's dispatch is news and goes on to the enqueue, repeats another one, or is older than the newest of
   * its stream. See admit.lua. The requests of one event take one round trip.
   */
  admit(requests: readonly AdmitRequest[]): Promise<Admission[]>;
  /** Keeps the claim of a delivered dispatch for the time that the dispatch says. */
  settleDelivered(jobId: string, dispatch: Dispatch): Promise<void>;
  /**
   * Keeps the claim of a dead dispatch for `cooldownMs`; 0 ends it at once.
   * @param run when the job that ends was queued, in milliseconds since the epoch. If it was queued again since, its claim stays
   */
  settleDead(jobId: string, dedupId: string, cooldownMs: number, run?: number): Promise<void>;
  /**
   * Ends the claim of a dispatch that is not to be sent any more.
   * @param run when the job that ends was queued, in milliseconds since the epoch. Queued again since, it keeps its claim
   */
  release(jobId: string, dedupId: string, run: number): Promise<void>;
  /** Ends a claim that a dead dispatch still holds for its cooldown. Any other claim stays. */
  endCooldown(dedupId: string): Promise<void>;
  /** Whether this job was delivered before: its worker died between GitHub's answer and the end of the job. */
  isDelivered(jobId: string, dedupId: string): Promise<boolean>;
  /** Which dispatch holds a claim, and what has become of it. */
  holder(dedupId: string): Promise<Holder | undefined>;
  /** Whether this is a failure of an object that has recovered since. */
  isSuperseded(dispatch: Dispatch): Promise<boolean>;
  /** The number of claims of delivered dispatches. */
  countDelivered(): Promise<number>;
}

export interface Holder {
  readonly id: string;
  readonly state: 'pending' | 'delivered' | 'dead';
}

export interface AdmitRequest {
  readonly dedup_id: string;
  readonly stream_id: string;
  readonly object_id: string;
  readonly class: Dispatch['class'];
  /** Seconds since the epoch. */
  readonly event_time: number;
  /** For how long a repeat renews the claim of a delivered dispatch, in milliseconds. 0: not at all. */
  readonly renewal_ms: number;
}

export type Admission = readonly ['add'] | readonly ['repeat', dispatchId: string] | readonly ['stale'];

// Longer than any claim lives and any interval of Flux lasts. What is forgotten then is new again.
const STREAM_MEMORY_MS = 30 * 86_400_000;

export function createClaims(redis: Redis, prefix: string): Claims {
  const keys = claimKeys(prefix);
  const admitOne = defineScript<Admission>(redis, 'admit.lua');
  const settleClaim = defineScript<number>(redis, 'settle.lua');
  const claimHolder = defineScript<[id: string, state: Holder['state']] | null>(redis, 'holder.lua');
  const endCooldown = defineScript<null>(redis, 'end-cooldown.lua');

  async function settle(jobId: string, dedupId: string, ttlMs: number, maxDelivered: number, run?: number) {
    const names = [keys.claim(dedupId), keys.delivered, keys.job(jobId)];
    await settleClaim(names, [jobId, dedupId, ttlMs, maxDelivered, keys.claimPrefix, run ?? '']);
  }

  async function admit(request: AdmitRequest): Promise<Admission> {
    const { dedup_id, stream_id, object_id, event_time, renewal_ms } = request;
    const names = [keys.claim(dedup_id), keys.delivered, keys.stream(stream_id), keys.success(object_id)];
    const values = [dedup_id, request.class, event_time, renewal_ms, STREAM_MEMORY_MS, keys.claimPrefix];
    return admitOne(names, values);
  }

  async function holder(dedupId: string): Promise<Holder | undefined> {
    const held = await claimHolder([keys.claim(dedupId), keys.delivered], [dedupId]);
    return held === null ? undefined : { id: held[0], state: held[1] };
  }

  return {
    admit: requests => Promise.all(requests.map(admit)),
    settleDelivered: (jobId, { dedup_id, claim }) =>
      settle(jobId, dedup_id, claim.delivered_ttl_ms, claim.max_delivered),
    settleDead: (jobId, dedupId, cooldownMs, run) => settle(jobId, dedupId, cooldownMs, 0, run),
    release: (jobId, dedupId, run) => settle(jobId, dedupId, 0, 0, run),
    async endCooldown(dedupId) {
      await endCooldown([keys.claim(dedupId), keys.delivered], [dedupId]);
    },
    holder,
    async isDelivered(jobId, dedupId) {
      const held = await holder(dedupId);
      return held?.id === jobId && held.state === 'delivered';
    },
    async isSuperseded({ class: reasonClass, object_id, event_time }) {
      if (reasonClass !== 'failure') return false;
      return Number(await redis.get(keys.success(object_id))) > event_time;
    },
    countDelivered: () => redis.zcount(keys.delivered, Date.now(), '+inf'),
  };
}
