import type { Admission, Claims, Memory } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import type { Feedback } from '@flux-dispatch/queue/feedback';
import type { Headroom } from '@flux-dispatch/queue/headroom';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { orUnavailable, type Unavailable } from './unavailable.ts';

/** What happened to one candidate. The id of a repeat is that of the dispatch that it repeats. */
export type CandidateResult =
  | {
      readonly repo: string;
      readonly outcome: 'enqueued' | Repeated;
      readonly dispatch_id: string;
      /** What the team is to do about the dispatch that this repeats, in one line. */
      readonly message?: string;
    }
  | {
      readonly repo: string;
      readonly outcome: 'stale' | 'not_routed';
      readonly dispatch_id?: undefined;
      /** Why it is not routed. */
      readonly message?: string;
    };

/** What a repeat comes to. */
export type Repeated = DispatchCandidate['repeat'] | Feedback['outcome'];

export type EnqueueResult =
  | { readonly kind: 'done'; readonly results: readonly CandidateResult[] }
  | Unavailable;

export interface EnqueueDependencies {
  readonly memory: Memory;
  /** Milliseconds. */
  readonly timeoutMs: number;
  readonly redis: Pick<Redis, 'status' | 'wait'>;
  readonly queue: Pick<Queue<Dispatch>, 'addBulk'>;
  readonly claims: Pick<Claims, 'admit'>;
  readonly headroom: Headroom;
  /** How many replicas must have confirmed a dispatch before it counts as queued. */
  readonly waitReplicas: number;
  readonly newId: () => string;
  /** Called once an hour while two sources overwrite each other. */
  readonly onConflict: (candidate: DispatchCandidate) => void;
}

/** Queues the candidates of one event, each at most once, however often and on whichever replica. Never rejects. */
export type Enqueue = (candidates: readonly DispatchCandidate[]) => Promise<EnqueueResult>;

export function createEnqueue(dependencies: EnqueueDependencies): Enqueue {
  const { redis, queue, claims, headroom, memory, timeoutMs, waitReplicas, newId, onConflict } = dependencies;

  async function claimAndAdd(candidates: readonly DispatchCandidate[]): Promise<EnqueueResult> {
    const full = headroom.room();
    const admitted = zip(candidates, await claims.admit(candidates, memory, full !== undefined));
    if (full !== undefined && admitted.some(([, { kind }]) => kind === 'full')) {
      return { kind: 'unavailable', reason: full };
    }
    // One pipeline for all of them. Where another dispatch holds the claim, BullMQ returns a job with the holder's id.
    const news = admitted.flatMap(([candidate, admission]) =>
      admission.kind === 'add' ? [{ candidate, job: jobOf(candidate, admission, newId(), memory) }] : [],
    );
    const added = zip(news, await queue.addBulk(news.map(({ job }) => job)));
    const holders = new Map(
      added.map(([{ candidate, job }, { id }]) => [candidate, { id, isNew: id === job.opts.jobId }]),
    );
    for (const [{ job }, { id }] of added) if (id === job.opts.jobId) headroom.took(job.data.payload);

    // Also for repeats: the first try may not have got its 202 because too few replicas confirmed.
    if (waitReplicas > 0) {
      const confirmed = await redis.wait(waitReplicas, Math.ceil(timeoutMs / 2));
      if (confirmed < waitReplicas) {
        const reason = `${confirmed} of ${waitReplicas} Redis replicas confirmed the write`;
        return { kind: 'unavailable', reason };
      }
    }
    const results = admitted.map(([candidate, admission]): CandidateResult => {
      const { repo, repeat } = candidate;
      if (admission.kind === 'stale') return { repo, outcome: 'stale' };
      if (admission.kind === 'repeat') {
        return { repo, dispatch_id: admission.dispatchId, ...(admission.feedback ?? { outcome: repeat }) };
      }
      if (admission.kind === 'full') throw new Error('An event was refused although there is room');
      if (admission.conflict) onConflict(candidate);
      const holder = holders.get(candidate);
      if (holder?.id === undefined) throw new Error('BullMQ returned a job without an id');
      return { repo, outcome: holder.isNew ? 'enqueued' : repeat, dispatch_id: holder.id };
    });
    return { kind: 'done', results };
  }

  return candidates => orUnavailable(redis, timeoutMs, () => claimAndAdd(candidates));
}

function jobOf(candidate: DispatchCandidate, { eventTime, now, priority }: News, id: string, memory: Memory) {
  const { dedup_id, stream_id, object_id, repo, event_type, class: reasonClass, claim, payload } = candidate;
  const { outage_confirmed } = candidate;
  const dispatch: Dispatch = {
    version: reasonClass === 'recovery' ? 2 : 1,
    ...{ dedup_id, object_id, repo, event_type, class: reasonClass },
    ...(candidate.remembered && { stream_id }),
    claim: { ...claim, max_delivered: memory.DEDUP_MAX_ENTRIES },
    ...(reasonClass === 'failure' && { outage_memory: outageMemory(memory) }),
    ...(outage_confirmed !== undefined && { outage_confirmed }),
    event_time: eventTime,
    accepted_at: now,
    payload: { ...payload, dispatch_id: id },
  };
  return dispatchJob(dispatch, { priority, delayMs: candidate.delay_ms });
}

function outageMemory({ DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP }: Memory): Dispatch['outage_memory'] {
  return { ttl_ms: DEDUP_TTL, max_entries: DEDUP_MAX_ENTRIES, keep_ms: DEDUP_KEEP };
}

type News = Extract<Admission, { kind: 'add' }>;

/** Pairs each entry of `left` with that of `right`. @throws where `right` is shorter */
function zip<A, B>(left: readonly A[], right: readonly B[]): (readonly [A, B])[] {
  return left.map((item, index) => {
    const other = right[index];
    if (other === undefined) throw new Error(`${right.length} answers to ${left.length} requests`);
    return [item, other];
  });
}
