import type { Admission, Claims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { redisUnavailable } from '@flux-dispatch/queue/redis';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/** What happened to one candidate. The id of a repeat is that of the dispatch that it repeats. */
export type CandidateResult =
  | {
      readonly repo: string;
      readonly outcome: 'enqueued' | DispatchCandidate['repeat'];
      readonly dispatch_id: string;
    }
  | { readonly repo: string; readonly outcome: 'stale'; readonly dispatch_id?: undefined };

/**
 * `unavailable`: nothing is promised, and the client must send the event again. The event may be queued all the same;
 * then the second try is a duplicate. `timedOut`: the client has waited, rather than being refused at once.
 */
export type EnqueueResult =
  | { readonly kind: 'done'; readonly results: readonly CandidateResult[] }
  | { readonly kind: 'unavailable'; readonly timedOut: boolean; readonly reason: string };

export interface EnqueueDependencies {
  readonly redis: Pick<Redis, 'status' | 'wait'>;
  readonly queue: Pick<Queue<Dispatch>, 'addBulk'>;
  readonly claims: Pick<Claims, 'admit'>;
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** How many replicas must have confirmed a dispatch before it counts as queued. */
  readonly waitReplicas: number;
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Queues the candidates of one event, each at most once, however often and on whichever replica. Never rejects. */
export type Enqueue = (candidates: readonly DispatchCandidate[]) => Promise<EnqueueResult>;

export function createEnqueue(dependencies: EnqueueDependencies): Enqueue {
  const { redis, queue, claims, timeoutMs, waitReplicas, newId, now } = dependencies;

  async function claimAndAdd(candidates: readonly DispatchCandidate[]): Promise<EnqueueResult> {
    const arrival = now();
    const wanted = candidates.map(candidate => ({
      candidate,
      dispatch: toDispatch(candidate, newId(), arrival),
    }));
    const requests = wanted.map(({ candidate, dispatch }) => ({
      ...candidate,
      event_time: dispatch.event_time,
    }));
    const admitted = zip(wanted, await claims.admit(requests));
    const news = admitted.flatMap(([{ dispatch }, [admission]]) => (admission === 'add' ? dispatch : []));
    // One pipeline for all of them. Where another dispatch holds the claim, BullMQ returns a job with the holder's id.
    const jobs = await queue.addBulk(news.map(dispatchJob));
    const holders = new Map(zip(news, jobs).map(([dispatch, { id }]) => [dispatch, id]));

    // Also for repeats: the first try may not have got its 202 because too few replicas confirmed.
    if (waitReplicas > 0) {
      const confirmed = await redis.wait(waitReplicas, Math.ceil(timeoutMs / 2));
      if (confirmed < waitReplicas) {
        const reason = `${confirmed} of ${waitReplicas} Redis replicas confirmed the write`;
        return { kind: 'unavailable', timedOut: true, reason };
      }
    }
    const results = admitted.map(([{ candidate, dispatch }, admission]) =>
      resultOf(candidate, dispatch, admission, holders.get(dispatch)),
    );
    return { kind: 'done', results };
  }

  return async candidates => {
    const away = redisUnavailable(redis);
    if (away !== undefined) return { kind: 'unavailable', timedOut: false, reason: away };
    const startedAt = now();
    try {
      const result = await within(timeoutMs, claimAndAdd(candidates));
      if (result !== 'timeout') return result;
      return { kind: 'unavailable', timedOut: true, reason: `Redis did not answer within ${timeoutMs} ms` };
    } catch (error) {
      // The connection may break at any time, so the error does not say how long this client has waited.
      const timedOut = now() - startedAt >= timeoutMs / 2;
      return { kind: 'unavailable', timedOut, reason: `Redis: ${(error as Error).message}` };
    }
  };
}

function toDispatch(candidate: DispatchCandidate, id: string, arrival: number): Dispatch {
  const { dedup_id, object_id, repo, event_type, class: reasonClass, claim, payload } = candidate;
  const arrivalSeconds = Math.floor(arrival / 1000);
  return {
    version: 1,
    ...{ dedup_id, object_id, repo, event_type, class: reasonClass, claim },
    // An event from a clock that is ahead must not make all later events stale until that time has come.
    event_time: Math.min(candidate.event_time ?? arrivalSeconds, arrivalSeconds),
    accepted_at: arrival,
    payload: { ...payload, dispatch_id: id },
  };
}

/** @param holder the id of the job that holds the claim, if the dispatch was added */
function resultOf(
  { repo, repeat }: DispatchCandidate,
  { payload }: Dispatch,
  [admission, repeated]: Admission,
  holder: string | undefined,
): CandidateResult {
  if (admission === 'stale') return { repo, outcome: 'stale' };
  if (admission === 'repeat') return { repo, outcome: repeat, dispatch_id: repeated };
  admission satisfies 'add';
  if (holder === undefined) throw new Error('BullMQ returned a job without an id');
  return { repo, outcome: holder === payload.dispatch_id ? 'enqueued' : repeat, dispatch_id: holder };
}

/** Resolves or rejects as `work` does, or resolves to 'timeout' where that takes longer than `ms`. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | 'timeout'> {
  const { promise: timeout, resolve } = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(resolve, ms, 'timeout');
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** Pairs each entry of `left` with that of `right`. @throws where `right` is shorter */
function zip<A, B>(left: readonly A[], right: readonly B[]): (readonly [A, B])[] {
  return left.map((item, index) => {
    const other = right[index];
    if (other === undefined) throw new Error(`${right.length} answers to ${left.length} requests`);
    return [item, other];
  });
}
