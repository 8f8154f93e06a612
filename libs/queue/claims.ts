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
   * For each request the id of the dispatch that it repeats and that has come to its end, or null where it goes on
   * to the enqueue. A repeat renews the claim of a delivered dispatch for `renewal_ms`, where that is not 0.
   */
  admit(requests: readonly { dedup_id: string; renewal_ms: number }[]): Promise<(string | null)[]>;
  /** Lets the claim of a delivered dispatch live on for the time that the dispatch says. */
  settleDelivered(jobId: string, dispatch: Dispatch): Promise<void>;
  /** Lets the claim of a dead dispatch live on for `cooldownMs`; 0 ends it at once. */
  settleDead(jobId: string, dispatch: Dispatch, cooldownMs: number): Promise<void>;
  /** Whether this very job was delivered before: its worker died between GitHub's answer and the end of the job. */
  isDelivered(jobId: string, dispatch: Dispatch): Promise<boolean>;
  /** The number of claims of delivered dispatches. */
  countDelivered(): Promise<number>;
}

const script = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8');
const SCRIPTS = {
  admitDispatch: { lua: script('admit.lua'), numberOfKeys: 2 },
  settleClaim: { lua: script('settle.lua'), numberOfKeys: 2 },
};

export function createClaims(redis: Redis, prefix: string): Claims {
  const keys = claimKeys(prefix);
  for (const [name, definition] of Object.entries(SCRIPTS)) redis.defineCommand(name, definition);

  async function settle(jobId: string, dispatch: Dispatch, ttlMs: number, maxDelivered: number) {
    await command(redis, 'settleClaim')(
      keys.claim(dispatch.dedup_id),
      keys.delivered,
      jobId,
      dispatch.dedup_id,
      ttlMs,
      maxDelivered,
      keys.claimPrefix,
    );
  }

  return {
    admit: requests =>
      Promise.all(
        requests.map(
          ({ dedup_id, renewal_ms }) =>
            command(redis, 'admitDispatch')(
              keys.claim(dedup_id),
              keys.delivered,
              dedup_id,
              renewal_ms,
            ) as Promise<string | null>,
        ),
      ),
    settleDelivered: (jobId, dispatch) =>
      settle(jobId, dispatch, dispatch.claim.delivered_ttl_ms, dispatch.claim.max_delivered),
    settleDead: (jobId, dispatch, cooldownMs) => settle(jobId, dispatch, cooldownMs, 0),
    async isDelivered(jobId, { dedup_id }) {
      const [holder, expiry] = await Promise.all([
        redis.get(keys.claim(dedup_id)),
        redis.zscore(keys.delivered, dedup_id),
      ]);
      return holder === jobId && expiry !== null;
    },
    countDelivered: () => redis.zcount(keys.delivered, Date.now(), '+inf'),
  };
}

type Command = (...args: (string | number)[]) => Promise<unknown>;

/** A command that `defineCommand` has added to the client, which TypeScript does not know of. */
function command(redis: Redis, name: keyof typeof SCRIPTS): Command {
  return (redis as unknown as Record<string, Command>)[name]?.bind(redis) as Command;
}
