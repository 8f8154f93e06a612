import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import type { Job } from 'bullmq';
import { describe, expect, test } from 'vitest';
import { createEnqueue, type EnqueueDependencies } from './enqueue.ts';

const never = () => new Promise<never>(() => undefined);

function candidate(repo: string, repeat: DispatchCandidate['repeat'] = 'duplicate'): DispatchCandidate {
  return {
    ...{ dedup_id: `id of ${repo}`, stream_id: 'stream', object_id: 'object', event_time: undefined },
    repo,
    event_type: 'flux-deploy',
    class: 'success',
    claim: { delivered_ttl_ms: 1000, max_delivered: 10 },
    payload: {} as DispatchCandidate['payload'],
    repeat,
    renewal_ms: 1000,
  };
}

/** A Redis that takes everything, but for what `over` replaces. `claimed`: the job that holds a claim, by repository. */
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
  expect(await createEnqueue(redis)([candidate('Altinn/a')])).toEqual({
    kind: 'done',
    results: [{ repo: 'Altinn/a', outcome: 'enqueued', dispatch_id: 'new-1' }],
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
  const candidates = [
    candidate('Altinn/pending'),
    candidate('Altinn/delivered', 'rate_limited'),
    candidate('Altinn/overtaken'),
    candidate('Altinn/new'),
  ];
  expect(await createEnqueue(redis)(candidates)).toEqual({
    kind: 'done',
    results: [
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
  await createEnqueue(redis)([{ ...candidate('Altinn/a'), event_time: eventTime }]);
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
      'when an answer is missing',
      false,
      'Redis: 0 answers to 1 requests',
      { claims: { admit: async () => [] } },
    ],
    [
      'when a job has no id',
      false,
      'Redis: BullMQ returned a job without an id',
      { queue: { addBulk: async () => [{} as Job<Dispatch>] } },
    ],
    [
      'when too few replicas confirm',
      true,
      '1 of 2 Redis replicas confirmed the write',
      { redis: { status: 'ready', wait: async () => 1 }, waitReplicas: 2 },
    ],
  ])('%s', async (_, timedOut, reason, over) => {
    expect(await createEnqueue(dependencies({}, over))([candidate('Altinn/a')])).toEqual({
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
    expect((await createEnqueue(redis)([candidate('Altinn/a')])).kind).toBe('done');
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
    expect((await createEnqueue(redis)([candidate('Altinn/a')])).kind).toBe('unavailable');
  });
});
