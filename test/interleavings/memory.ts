import type { Claims, Holder } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { claimKeys } from '@flux-dispatch/queue/keys';
import type { Outages } from '@flux-dispatch/queue/outages';
import type { Redis } from 'ioredis';
import type { DeploymentIds } from './model.ts';

/** What Redis remembers about deployments. */
export interface RedisMemory {
  /** Ends the claim of a deployment, where its dispatch is in that state. */
  endClaim(ids: DeploymentIds, state: Holder['state']): Promise<void>;
  /** The dispatch of a deployment that its stream remembers as delivered. */
  remembers(ids: DeploymentIds): Promise<string | undefined>;
  /** Whether a dispatch is not to be sent any more. */
  isSuperseded(dispatch: Dispatch): Promise<boolean>;
}

export function memoryOf(redis: Redis, claims: Claims, outages: Outages, prefix: string): RedisMemory {
  const keys = claimKeys(prefix);
  return {
    async endClaim({ dedup_id }, state) {
      const holder = await claims.holder({ dedup_id });
      if (holder?.state === state) await redis.del(keys.claim(dedup_id));
    },
    async remembers({ dedup_id, stream_id }) {
      return (await redis.hget(keys.stream(stream_id), dedup_id))?.split(' ')[1];
    },
    async isSuperseded(dispatch) {
      const { class: reasonClass, object_id, event_time, outage_confirmed } = dispatch;
      if (reasonClass === 'failure') return Number(await redis.hget(keys.healthy, object_id)) > event_time;
      return reasonClass === 'recovery' && !outage_confirmed && (await outages.stateOf(dispatch)) === 'gone';
    },
  };
}
