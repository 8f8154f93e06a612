import type { Admission } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import type { BulkJobOptions, Job } from 'bullmq';
import { describe, expect, test } from 'vitest';
import { createEnqueue, type EnqueueDependencies } from './enqueue.ts';

const ADD: Admission = { kind: 'add', eventTime: 41, now: 42_000, priority: 7, conflict: false };

const never = () => new Promise<never>(() => undefined);

function candidate(repo: string, repeat: DispatchCandidate['repeat'] = 'duplicate'): DispatchCandidate {
  return {
    ...{ dedup_id: `id of ${repo}`, stream_id: 'stream', object_id: 'object', event_time: undefined },
    repo,
    event_type: 'flux-deploy',
    class: 'success',
    claim: { delivered_ttl_ms: 1000 },
    payload: {} as DispatchCandidate['payload'],
    repeat,
    remembered: repeat === 'duplicate',
    delay_ms: 0,
  };
}

/** A Redis that takes everything, but for what `over` replaces. `claimed`: the job that holds a claim, by repository. */
function dependencies(claimed: Record<string, string> = {}, over: Partial<EnqueueDependencies> = {}) {
  const added: Dispatch[] = [];
  const options: (BulkJobOptions | undefined)[] = [];
  const conflicts: string[] = [];
  let ids = 0;
  const withRedis: EnqueueDependencies = {
    redis: { status: 'ready', wait: async () => 0 },
    claims: { admit: async requests => requests.map(() => ADD) },
    headroom: { room: () => undefined, took: () => undefined },
    queue: {
      addBulk: async jobs => {
        added.push(...jobs.map(({ data }) => data));
        options.push(...jobs.map(({ opts }) => opts));
        return jobs.map(({ data, opts }) => ({ id: claimed[data.repo] ?? opts?.jobId }) as Job<Dispatch>);
      },
    },
    timeoutMs: 1000,
    waitReplicas: 0,
    newId: () => `new-${++ids}`,
    memory: { DEDUP_TTL: 1000, DEDUP_MAX_ENTRIES: 10, DEDUP_KEEP: 10 },
    onConflict: ({ repo }) => conflicts.push(repo),
    ...over,
  };
  return { ...withRedis, added, options, conflicts };
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
      stream_id: 'stream',
      event_time: 41,
      repo: 'Altinn/a',
      event_type: 'flux-deploy',
      class: 'success',
      accepted_at: 42_000,
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
            if (/delivered/.test(dedup_id)) return { kind: 'repeat', dispatchId: 'old-2' };
            return /overtaken/.test(dedup_id) ? { kind: 'stale' } : ADD;
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
      { repo: 'Altinn/new', outcome: 'enqueued', dispatch_id: 'new-2' },
    ],
  });
  // A repeat of what has come to its end costs no more than the one call.
  expect(redis.added.map(({ repo }) => repo)).toEqual(['Altinn/pending', 'Altinn/new']);
});

test('a repeat has what there is to say about the dispatch that it repeats', async () => {
  const feedback = { outcome: 'undeliverable', message: 'Install the App.' } as const;
  const admit = async () => [{ kind: 'repeat', dispatchId: 'dead', feedback } as const];
  expect(await createEnqueue(dependencies({}, { claims: { admit } }))([candidate('Altinn/a')])).toEqual({
    kind: 'done',
    results: [{ repo: 'Altinn/a', dispatch_id: 'dead', ...feedback }],
  });
});

test('a failure says how long its outage is remembered, and a recovery takes a dispatcher that knows it', async () => {
  const redis = dependencies();
  const failure = { ...candidate('Altinn/a'), class: 'failure' } as const;
  const recovery = { ...candidate('Altinn/b'), class: 'recovery', outage_confirmed: true } as const;
  await createEnqueue(redis)([failure, recovery]);
  expect(redis.added).toMatchObject([
    { version: 1, class: 'failure', outage_memory: { ttl_ms: 1000, max_entries: 10, keep_ms: 10 } },
    { version: 2, class: 'recovery', outage_confirmed: true },
  ]);
  expect(redis.added[1]).not.toHaveProperty('outage_memory');
});

test('its turn is the one that Redis gives it, from the time that Redis has', async () => {
  const redis = dependencies();
  await createEnqueue(redis)([candidate('Altinn/a'), { ...candidate('Altinn/b'), delay_ms: 5000 }]);
  expect(redis.options).toMatchObject([
    { priority: 7, timestamp: 42_000 },
    { priority: 7, timestamp: 42_000, delay: 5000 },
  ]);
  expect(redis.options[0]).not.toHaveProperty('delay');
});

test('what only its claim remembers does not name its stream', async () => {
  const redis = dependencies();
  await createEnqueue(redis)([candidate('Altinn/a', 'rate_limited')]);
  expect(redis.added[0]).not.toHaveProperty('stream_id');
});

test('two sources that overwrite each other are reported', async () => {
  const admit = async () => [{ ...ADD, conflict: true }];
  const redis = dependencies({}, { claims: { admit } });
  expect((await createEnqueue(redis)([candidate('Altinn/a')])).kind).toBe('done');
  expect(redis.conflicts).toEqual(['Altinn/a']);
});

describe('unavailable', () => {
  const broken = async () => {
    throw new Error('Connection is closed.');
  };
  test.each<[string, string, Partial<EnqueueDependencies>]>([
    [
      'at once, while Redis is known to be away',
      'No connection to Redis: reconnecting',
      { redis: { status: 'reconnecting', wait: never }, claims: { admit: never } },
    ],
    ['when the connection breaks', 'Redis: Connection is closed.', { claims: { admit: broken } }],
    ['when it breaks at the add', 'Redis: Connection is closed.', { queue: { addBulk: broken } }],
    [
      'after the timeout, when Redis is silent',
      'Redis did not answer within 10 ms',
      { claims: { admit: never }, timeoutMs: 10 },
    ],
    [
      'after the timeout, when it falls silent at the add',
      'Redis did not answer within 10 ms',
      { queue: { addBulk: never }, timeoutMs: 10 },
    ],
    ['when an answer is missing', 'Redis: 0 answers to 1 requests', { claims: { admit: async () => [] } }],
    [
      'when a job has no id',
      'Redis: BullMQ returned a job without an id',
      { queue: { addBulk: async () => [{} as Job<Dispatch>] } },
    ],
    [
      'when too few replicas confirm',
      '1 of 2 Redis replicas confirmed the write',
      { redis: { status: 'ready', wait: async () => 1 }, waitReplicas: 2 },
    ],
  ])('%s', async (_, reason, over) => {
    expect(await createEnqueue(dependencies({}, over))([candidate('Altinn/a')])).toEqual({
      kind: 'unavailable',
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
        claims: { admit: async () => [{ kind: 'repeat', dispatchId: 'old' }] },
        waitReplicas: 1,
      },
    );
    expect((await createEnqueue(redis)([candidate('Altinn/a')])).kind).toBe('unavailable');
  });
});
