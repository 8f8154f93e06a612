import type { Claims, Memory } from '@flux-dispatch/queue/claims';
import type { Outages } from '@flux-dispatch/queue/outages';
import { type Recovery, recoveryCandidate } from '@flux-dispatch/routing/candidate';
import type { Decision } from '@flux-dispatch/routing/decide';
import type { Redis } from 'ioredis';
import type { CandidateResult, Enqueue, EnqueueResult } from './enqueue.ts';
import { orUnavailable, type Unavailable } from './unavailable.ts';

interface RecoveryDependencies {
  readonly redis: Pick<Redis, 'status'>;
  readonly memory: Memory;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

export interface RecoverDependencies extends RecoveryDependencies {
  readonly claims: Pick<Claims, 'recover'>;
}

/** Notes a success that no dispatch is wanted for. Never rejects. */
export type Recover = (recovery: Recovery) => Promise<Unavailable | undefined>;

export function createRecover({ redis, claims, memory, timeoutMs }: RecoverDependencies): Recover {
  return ({ object_ids, event_time }) =>
    orUnavailable(redis, timeoutMs, async () => {
      await claims.recover(object_ids, event_time, memory);
      return undefined;
    });
}

export interface EnqueueRecoveryDependencies extends RecoveryDependencies {
  readonly outages: Pick<Outages, 'end'>;
  readonly enqueue: Enqueue;
}

/**
 * Notes a success, and queues a recovery for each repository where an outage has ended with it. An outage ends once, so a repeat
 * is one of that recovery. Never rejects.
 */
export type EnqueueRecovery = (decision: Extract<Decision, { kind: 'recover' }>) => Promise<EnqueueResult>;

export function createEnqueueRecovery(dependencies: EnqueueRecoveryDependencies): EnqueueRecovery {
  const { redis, outages, enqueue, memory, timeoutMs } = dependencies;
  return async ({ routed, recovery, message }) => {
    const { object_ids, event_time } = recovery;
    const ended = await orUnavailable(redis, timeoutMs, () => outages.end(object_ids, event_time, memory));
    if ('kind' in ended) return ended;

    const candidates = routed.repositories.map((repo, index) => {
      const outage = ended[index];
      return outage && recoveryCandidate(routed, repo, outage);
    });
    const wanted = candidates.filter(candidate => candidate !== undefined);
    const queued = wanted.length === 0 ? undefined : await enqueue(wanted);
    if (queued?.kind === 'unavailable') return queued;
    const results = routed.repositories.map((repo, index): CandidateResult => {
      const candidate = candidates[index];
      if (!candidate) return { repo, outcome: 'not_routed', message };
      const result = queued?.results[wanted.indexOf(candidate)];
      if (!result) throw new Error(`There is no result for ${repo}`);
      return result;
    });
    return { kind: 'done', results };
  };
}
