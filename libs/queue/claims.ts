import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { Dispatch } from './dispatch.ts';
import { claimKeys } from './keys.ts';

/**
 * The claim of a deployment is what BullMQ's `deduplication` sets in the same script that enqueues the job, so there is
 * never one without the other. It holds the job's id and has no expiry while the job is pending. The scripts here do
 * what is needed before that and after it.
 */
export interface Claims {
  /**
   * Whether an event's dispatch is news, and so goes on to the enqueue, repeats another, or was overtaken by a newer
   * event of its stream. See admit.lua. The requests of one event take one round trip.
   */
  admit(requests: readonly AdmitRequest[]): Promise<Admission[]>;
  /** Lets the claim of a delivered dispatch live on for the time that the dispatch says. */
  settleDelivered(jobId: string, dispatch: Dispatch): Promise<void>;
  /**
   * Lets the claim of a dead dispatch live on for `cooldownMs`; 0 ends it at once.
   * @param run when the job that ends was queued, in milliseconds since the epoch. Queued again since, it keeps its claim
   */
  settleDead(jobId: string, dedupId: string, cooldownMs: number, run?: number): Promise<void>;
  /**
   * Ends the claim of a dispatch that is not to be sent any more.
   * @param run when the job that ends was queued, in milliseconds since the epoch. Queued again since, it keeps its claim
   */
  release(jobId: string, dedupId: string, run: number): Promise<void>;
  /** Ends the claim of whichever dispatch has died before its cooldown is over. Any other claim stays. */
  endCooldown(dedupId: string): Promise<void>;
  /** Whether this very job was delivered before: its worker died between GitHub's answer and the end of the job. */
  isDelivered(jobId: string, dedupId: string): Promise<boolean>;
  /** Which dispatch holds a claim, and what has become of it. */
  holder(dedupId: string): Promise<Holder | undefined>;
  /** Whether this is a failure of an object that has been well since. */
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
  /** For how long a repeat lets the claim of a delivered dispatch live on, in milliseconds. 0: not at all. */
  readonly renewal_ms: number;
}

export type Admission = readonly ['add'] | readonly ['repeat', dispatchId: string] | readonly ['stale'];

// Longer than any claim lives and any interval of Flux lasts. What is forgotten then is new again.
const STREAM_MEMORY_MS = 30 * 86_400_000;

const script = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
const SCRIPTS = {
  admitDispatch: { lua: script('admit.lua'), numberOfKeys: 4 },
  settleClaim: { lua: script('settle.lua'), numberOfKeys: 3 },
  claimHolder: { lua: script('holder.lua'), numberOfKeys: 2 },
  endCooldown: { lua: script('end-cooldown.lua'), numberOfKeys: 2 },
};

export function createClaims(redis: Redis, prefix: string): Claims {
  const keys = claimKeys(prefix);
  for (const [name, definition] of Object.entries(SCRIPTS)) redis.defineCommand(name, definition);

  async function settle(jobId: string, dedupId: string, ttlMs: number, maxDelivered: number, run?: number) {
    const settleClaim = command(redis, 'settleClaim');
    const names = [keys.claim(dedupId), keys.delivered, keys.job(jobId)];
    await settleClaim(...names, jobId, dedupId, ttlMs, maxDelivered, keys.claimPrefix, run ?? '');
  }

  async function admit(request: AdmitRequest): Promise<Admission> {
    const { dedup_id, stream_id, object_id, event_time, renewal_ms } = request;
    const admitDispatch = command(redis, 'admitDispatch');
    const names = [keys.claim(dedup_id), keys.delivered, keys.stream(stream_id), keys.success(object_id)];
    const values = [dedup_id, request.class, event_time, renewal_ms, STREAM_MEMORY_MS, keys.claimPrefix];
    return (await admitDispatch(...names, ...values)) as Admission;
  }

  async function holder(dedupId: string): Promise<Holder | undefined> {
    const claimHolder = command(redis, 'claimHolder');
    const held = await claimHolder(keys.claim(dedupId), keys.delivered, dedupId);
    if (held === null) return undefined;
    const [id, state] = held as [string, Holder['state']];
    return { id, state };
  }

  return {
    admit: requests => Promise.all(requests.map(admit)),
    settleDelivered: (jobId, { dedup_id, claim }) =>
      settle(jobId, dedup_id, claim.delivered_ttl_ms, claim.max_delivered),
    settleDead: (jobId, dedupId, cooldownMs, run) => settle(jobId, dedupId, cooldownMs, 0, run),
    release: (jobId, dedupId, run) => settle(jobId, dedupId, 0, 0, run),
    async endCooldown(dedupId) {
      await command(redis, 'endCooldown')(keys.claim(dedupId), keys.delivered, dedupId);
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

type Command = (...args: (string | number)[]) => Promise<unknown>;

/** A command that `defineCommand` has added to the client, which TypeScript does not know of. */
function command(redis: Redis, name: keyof typeof SCRIPTS): Command {
  return (redis as unknown as Record<string, Command>)[name]?.bind(redis) as Command;
}
