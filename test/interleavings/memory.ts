import type { Claims, Holder } from '@flux-dispatch/queue/claims';
import { claimKeys } from '@flux-dispatch/queue/keys';
import type { Redis } from 'ioredis';
import { DEPLOYMENTS, type Deployment } from './model.ts';

/** What Redis remembers about deployments. */
export interface RedisMemory {
  /** Ends the claim of a deployment, where its dispatch is in that state. */
  endClaim(name: Deployment, state: Holder['state']): Promise<void>;
  /** The dispatch of a deployment that its stream remembers as delivered. */
  remembers(name: Deployment): Promise<string | undefined>;
}

export function memoryOf(redis: Redis, claims: Claims, prefix: string): RedisMemory {
  const keys = claimKeys(prefix);
  return {
    async endClaim(name, state) {
      const { dedup_id } = DEPLOYMENTS[name];
      const holder = await claims.holder({ dedup_id });
      if (holder?.state === state) await redis.del(keys.claim(dedup_id));
    },
    async remembers(name) {
      const { dedup_id, stream_id } = DEPLOYMENTS[name];
      return (await redis.hget(keys.stream(stream_id), dedup_id))?.split(' ')[1];
    },
  };
}
