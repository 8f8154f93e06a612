import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { DispatchRequest } from '@flux-dispatch/routing/decide';
import type { Job } from 'bullmq';
import { describe, expect, test } from 'vitest';
import { type EnqueueDependencies, enqueue } from './enqueue.ts';

const never = () => new Promise<never>(() => undefined);

function request(repo: string, repeat: DispatchRequest['repeat'] = 'duplicate'): DispatchRequest {
  return {
    ...{ dedup_id: `id of ${repo}`, stream_id: 'stream', object_id: 'object', event_time: undefined },
    repo,
    event_type: 'flux-deploy',
    class: 'success',
    claim: { delivered_ttl_ms: 1000, max_delivered: 10 },
    payload: {} as DispatchRequest['payload'],
    repeat,
    renewal_ms: 1000,
  };
}

/** A Redis that takes everything, unless told otherwise. `claimed` are the jobs that hold a claim already. */
function dependencies(claimed: Record<string, string> = {}, over: Partial<EnqueueDependencies> = {}) {
  const added: Dispatch[] = [];
  let ids = 0;
  const withRedis: EnqueueDependencies = {
    redis: { status: 'ready', wait: async () => 0 },
    claims: { admit: async requests => requests.map(() => ['add'] as const) },
    queue: {
      addBulk: async jobs => {
        added.push(...jobs.map(({ data }) => data));
        return jobs.map(({ data, opts }) => ({ id: claimed[data.repo] ?? opts?.jobId }) as Job<Dispatch>);
      },
    },
    timeoutMs: 1000,
    waitReplicas: 0,
    newId: () => `new-${++ids}`,
    now: () => 42,
    ...over,
  };
  return { ...withRedis, added };
}

test('a dispatch gets its id and its time, and nothing of what only ingest needs', async () => {
  const redis = dependencies();
  expect(await enqueue([request('Altinn/a')], redis)).toEqual({
    kind: 'done',
    dispatches: [{ repo: 'Altinn/a', outcome: 'enqueued', dispatch_id: 'new-1' }],
  });
  expect(redis.added).toEqual([
    {
      version: 1,
      dedup_id: 'id of Altinn/a',
      object_id: 'object',
      event_time: 0,
      repo: 'Altinn/a',
      event_type: 'flux-deploy',
      class: 'success',
      accepted_at: 42,
      claim: { delivered_ttl_ms: 1000, max_delivered: 10 },
      payload: { dispatch_id: 'new-1' },
    },
  ]);
});

test('of several repositories each has an outcome of its own, in their order', async () => {
  const redis = dependencies(
    { 'Altinn/pending': 'old-1' },
    {
      claims: {
        admit: async requests =>
          requests.map(({ dedup_id }) => {
            if (/delivered/.test(dedup_id)) return ['repeat', 'old-2'] as const;
            return /overtaken/.test(dedup_id) ? (['stale'] as const) : (['add'] as const);
          }),
      },
    },
  );
  const requests = [
    request('Altinn/pending'),
    request('Altinn/delivered', 'rate_limited'),
    request('Altinn/overtaken'),
    request('Altinn/new'),
  ];
  expect(await enqueue(requests, redis)).toEqual({
    kind: 'done',
    dispatches: [
      { repo: 'Altinn/pending', outcome: 'duplicate', dispatch_id: 'old-1' },
      { repo: 'Altinn/delivered', outcome: 'rate_limited', dispatch_id: 'old-2' },
      { repo: 'Altinn/overtaken', outcome: 'stale' },
      { repo: 'Altinn/new', outcome: 'enqueued', dispatch_id: 'new-4' },
    ],
  });
  // A repeat of what has come to its end costs no more than the one call.
  expect(redis.added.map(({ repo }) => repo)).toEqual(['Altinn/pending', 'Altinn/new']);
});

test.each([
  ['of its own timestamp', 41, 41],
  ['of its arrival, where it has no timestamp', undefined, 42],
  ['of its arrival, where its clock is ahead', 43, 42],
])('the time of an event is that %s', async (_, eventTime, expected) => {
  const redis = dependencies({}, { now: () => 42_999 });
  await enqueue([{ ...request('Altinn/a'), event_time: eventTime }], redis);
  expect(redis.added[0]?.event_time).toBe(expected);
});

describe('unavailable', () => {
  const broken = async () => {
    throw new Error('Connection is closed.');
  };
  test.each<[string, boolean, string, Partial<EnqueueDependencies>]>([
    [
      'at once, while Redis is known to be away',
      false,
      'Redis is away (reconnecting): check REDIS_URL and the Redis server',
      { redis: { status: 'reconnecting', wait: never }, claims: { admit: never } },
    ],
    ['when the connection breaks', false, 'Redis: Connection is closed.', { claims: { admit: broken } }],
    ['when it breaks at the add', false, 'Redis: Connection is closed.', { queue: { addBulk: broken } }],
    [
      'after the timeout, when Redis is silent',
      true,
      'Redis did not answer within 10 ms',
      { claims: { admit: never }, timeoutMs: 10 },
    ],
    [
      'after the timeout, when it falls silent at the add',
      true,
      'Redis did not answer within 10 ms',
      { queue: { addBulk: never }, timeoutMs: 10 },
    ],
    [
      'when too few replicas confirm',
      true,
      '1 of 2 Redis replicas confirmed the write',
      { redis: { status: 'ready', wait: async () => 1 }, waitReplicas: 2 },
    ],
  ])('%s', async (_, timedOut, reason, over) => {
    expect(await enqueue([request('Altinn/a')], dependencies({}, over))).toEqual({
      kind: 'unavailable',
      timedOut,
      reason,
    });
  });
});

describe('REDIS_WAIT_REPLICAS', () => {
  test('leaves the replicas less time than the client has', async () => {
    const asked: unknown[] = [];
    const wait = async (replicas: string | number, timeoutMs: string | number) => {
      asked.push({ replicas, timeoutMs });
      return 2;
    };
    const redis = dependencies({}, { redis: { status: 'ready', wait }, waitReplicas: 2 });
    expect((await enqueue([request('Altinn/a')], redis)).kind).toBe('done');
    expect(asked).toEqual([{ replicas: 2, timeoutMs: 500 }]);
  });

  test('counts for a repeat too: the first client may have had no answer', async () => {
    const redis = dependencies(
      {},
      {
        redis: { status: 'ready', wait: async () => 0 },
        claims: { admit: async () => [['repeat', 'old']] },
        waitReplicas: 1,
      },
    );
    expect((await enqueue([request('Altinn/a')], redis)).kind).toBe('unavailable');
  });
});
