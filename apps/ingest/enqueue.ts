import { setTimeout as delay } from 'node:timers/promises';
import type { Claims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { redisUnavailable } from '@flux-dispatch/queue/redis';
import type { DispatchRequest } from '@flux-dispatch/routing/decide';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/** What became of one dispatch. For a repeat the id is that of the dispatch it repeats; what is stale has none. */
export interface Enqueued {
  readonly repo: string;
  readonly outcome: 'enqueued' | 'duplicate' | 'rate_limited' | 'stale';
  readonly dispatch_id?: string;
}

/**
 * `unavailable`: nothing is promised, the client must send the event again. It may have been queued all the same; then
 * the second try is a duplicate. `timedOut` says that the client has waited for it, rather than being refused at once.
 */
export type EnqueueResult =
  | { kind: 'done'; dispatches: readonly Enqueued[] }
  | { kind: 'unavailable'; timedOut: boolean; reason: string };

export interface EnqueueDependencies {
  readonly redis: Pick<Redis, 'status' | 'wait'>;
  readonly queue: Pick<Queue<Dispatch>, 'addBulk'>;
  readonly claims: Pick<Claims, 'admit'>;
  /** Milliseconds. */
  readonly timeoutMs: number;
  /** How many replicas must have confirmed a dispatch before it counts as queued. */
  readonly waitReplicas: number;
  readonly newId: () => string;
  readonly now: () => number;
}

/** Queues dispatches, each once however often and wherever it is asked for. Never throws. */
export async function enqueue(
  requests: readonly DispatchRequest[],
  dependencies: EnqueueDependencies,
): Promise<EnqueueResult> {
  const { redis, timeoutMs, now } = dependencies;
  const startedAt = now();
  const reason = redisUnavailable(redis);
  if (reason !== undefined) return { kind: 'unavailable', timedOut: false, reason };
  const timer = new AbortController();
  const timeout = delay(timeoutMs, 'timeout' as const, { signal: timer.signal });
  // Aborting the timer rejects it, which nobody is interested in by then.
  timeout.catch(() => undefined);
  try {
    const result = await Promise.race([claimAndAdd(requests, dependencies), timeout]);
    if (result !== 'timeout') return result;
    return { kind: 'unavailable', timedOut: true, reason: `Redis did not answer within ${timeoutMs} ms` };
  } catch (error) {
    // The connection may have broken on an earlier command's account: what counts is how long this client has waited.
    const timedOut = now() - startedAt >= timeoutMs / 2;
    return { kind: 'unavailable', timedOut, reason: `Redis: ${(error as Error).message}` };
  } finally {
    timer.abort();
  }
}

async function claimAndAdd(
  requests: readonly DispatchRequest[],
  { redis, queue, claims, timeoutMs, waitReplicas, newId, now }: EnqueueDependencies,
): Promise<EnqueueResult> {
  const arrival = now();
  const wanted = requests.map(request => ({ request, dispatch: toDispatch(request, newId(), arrival) }));
  const admissions = await claims.admit(
    wanted.map(({ request, dispatch }) => ({ ...request, event_time: dispatch.event_time })),
  );
  // One pipeline for all dispatches of the event. A job whose claim another holds comes back with that job's id.
  const news = wanted.flatMap(({ dispatch }, index) => (admissions[index]?.[0] === 'add' ? dispatch : []));
  const jobs = await queue.addBulk(news.map(dispatchJob));
  const holders = new Map(news.map(({ dedup_id }, index) => [dedup_id, jobs[index]?.id]));

  // Also for repeats: the client of the first try may not have got its 202 for want of replicas.
  if (waitReplicas > 0) {
    const confirmed = await redis.wait(waitReplicas, Math.ceil(timeoutMs / 2));
    if (confirmed < waitReplicas) {
      const reason = `${confirmed} of ${waitReplicas} Redis replicas confirmed the write`;
      return { kind: 'unavailable', timedOut: true, reason };
    }
  }
  return {
    kind: 'done',
    dispatches: wanted.map(({ request, dispatch }, index): Enqueued => {
      const { repo, repeat } = request;
      const [admission, repeated] = admissions[index] ?? ['stale'];
      if (admission === 'stale') return { repo, outcome: 'stale' };
      const id = repeated ?? holders.get(dispatch.dedup_id) ?? '';
      return { repo, outcome: id === dispatch.payload.dispatch_id ? 'enqueued' : repeat, dispatch_id: id };
    }),
  };
}

function toDispatch(request: DispatchRequest, id: string, arrival: number): Dispatch {
  const { dedup_id, object_id, repo, event_type, class: reasonClass, claim, payload } = request;
  const arrivalSeconds = Math.floor(arrival / 1000);
  return {
    version: 1,
    ...{ dedup_id, object_id, repo, event_type, class: reasonClass, claim },
    // A clock that is ahead must not hold back what happens until the time that it showed.
    event_time: Math.min(request.event_time ?? arrivalSeconds, arrivalSeconds),
    accepted_at: arrival,
    payload: { ...payload, dispatch_id: id },
  };
}
