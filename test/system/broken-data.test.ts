import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { NotYet, until } from '@flux-dispatch/testbed/until';
import type { Job } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';
import { openQueues, type Queues } from '../support/queues.ts';

const REPO = 'Altinn/broken';

const stack = new AsyncDisposableStack();
let credentials: Credentials;
let stub: RunningGitHubStub;
let system: System;
let queues: Queues;

beforeAll(async () => {
  credentials = stack.use(await createCredentials());
  stub = stack.use(await startGitHubStub(credentials.stub));
  system = stack.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials, ingests: 0 },
      // One slot, which a job that holds it would keep from all others.
      env: { DISPATCH_RATE: 'off', DISPATCH_CONCURRENCY: '1' },
    }),
  );
  queues = stack.use(openQueues(inject('redisUrl'), system.prefix));
});
afterAll(() => stack.disposeAsync());
beforeEach(() => gitHub(404));

function gitHub(status: number): void {
  stub.setFaults(status === 204 ? [] : [{ match: { method: 'POST', repo: REPO }, action: { status } }]);
}

function queue(values: Partial<Dispatch> = {}, message = ''): Promise<Job> {
  const dispatch = testDispatch({ repo: REPO, ...values });
  dispatch.payload.message = message;
  return add(dispatch);
}

function add(dispatch: Dispatch): Promise<Job> {
  const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
  return queues.dispatches.add(name, data, opts);
}

/** Adds a job that no worker takes before `breakIt` has been at its hash. */
async function queueBroken(breakIt: (key: string) => Promise<unknown>): Promise<Job> {
  const dispatch = testDispatch({ repo: REPO });
  const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
  const job = await queues.dispatches.add(name, data, { ...opts, delay: 3_600_000 });
  // It is not to wait any longer once it is broken.
  await queues.redis.hset(queues.dispatches.toKey(job.id ?? ''), 'opts', JSON.stringify(opts));
  await breakIt(queues.dispatches.toKey(job.id ?? ''));
  await queues.redis.zrem(queues.dispatches.toKey('delayed'), job.id ?? '');
  await queues.redis.lpush(queues.dispatches.toKey('wait'), job.id ?? '');
  await queues.redis.zadd(queues.dispatches.toKey('marker'), 0, '0');
  return job;
}

/** The entry that is parked under this id. */
function parked(id: string, is: (entry: DeadLetter) => boolean = () => true): Promise<Job<DeadLetter>> {
  return until('the entry is parked', async () =>
    (await queues.deadLetters.getFailed()).find(entry => entry.id === id && is(entry.data)),
  );
}

function isSent(id: string | undefined): boolean {
  return stub.dispatches.some(({ client_payload }) => client_payload?.['dispatch_id'] === id);
}

function isAtGitHub({ id }: Job): Promise<boolean> {
  return until('it is at GitHub', () => isSent(id));
}

async function isGone(id: string): Promise<void> {
  await until(
    'the entry is gone',
    async () => (await queues.redis.exists(queues.deadLetters.toKey(id))) === 0,
  );
}

const endClaim = (id: string) => queues.redis.del(claimKeys(system.prefix).claim(id));

const ONE = 'e'.repeat(64);

test.each([
  ['a lone surrogate', '\ud800 and no more'],
  ['a NUL', 'a \u0000 b'],
])('%s in a dispatch that dies twice, and is delivered then', async (_, message) => {
  const dedup_id = ONE;
  await queue({ dedup_id }, message);
  await parked(ONE, ({ deaths }) => deaths === 1);
  await endClaim(ONE);
  await queue({ dedup_id }, message);
  const entry = await parked(ONE, ({ deaths }) => deaths === 2);
  expect(entry.data.dispatch).toMatchObject({ payload: { message: message.toWellFormed() } });
  await endClaim(ONE);
  gitHub(204);
  await isAtGitHub(await queue({ dedup_id }, message));
  await isGone(ONE);
  await endClaim(ONE);
});

describe('the list of dead letters deleted by hand', () => {
  const dedup_id = 'd'.repeat(64);

  test('a dispatch that dies again has an entry', async () => {
    await queue({ dedup_id });
    await parked(dedup_id);
    await queues.redis.del(queues.deadLetters.toKey('failed'));
    await endClaim(dedup_id);
    await queue({ dedup_id });
    await parked(dedup_id, ({ deaths }) => deaths === 2);
  });

  test('one that is delivered leaves none behind, and holds no slot', async () => {
    await queues.redis.del(queues.deadLetters.toKey('failed'));
    await endClaim(dedup_id);
    gitHub(204);
    await isAtGitHub(await queue({ dedup_id }));
    await isGone(dedup_id);
  });
});

describe('a job that BullMQ did not write', () => {
  test.each<[string, (key: string) => Promise<unknown>, dispatch: unknown]>([
    ['whose data is no JSON', key => queues.redis.hset(key, 'data', 'no {JSON'), 'no {JSON'],
    [
      'whose data is cut off',
      key => queues.redis.hset(key, 'data', '{"version":1,"repo":"Alt'),
      expect.anything(),
    ],
    ['whose data is null', key => queues.redis.hset(key, 'data', 'null'), null],
    ['whose hash was deleted', key => queues.redis.del(key), {}],
  ])('%s is a dead letter, and holds no slot', async (_, breakIt, dispatch) => {
    const job = await queueBroken(breakIt);
    const ids = [job.id, `job-${job.id}`, job.deduplicationId];
    const entry = await until('the entry is parked', async () =>
      (await queues.deadLetters.getFailed()).find(({ data }) => ids.includes(data.dispatch_id)),
    );
    expect(entry.data).toMatchObject({
      dispatch,
      error: { message: expect.stringMatching(/^This version cannot read the job/) },
    });
    const line = () => system.dispatchers[0]?.process.log().find(each => each['dispatch_id'] === job.id);
    expect(await until('it is logged', line)).toMatchObject({ level: 'error', outcome: 'dead' });
    gitHub(204);
    await isAtGitHub(await queue());
    // Nor does it stay in the queue.
    await until('it is gone', async () => (await queues.dispatches.getJob(job.id ?? '')) === undefined);
    await until('nothing is left', async () => {
      const counts = await queues.dispatches.getJobCounts(
        'active',
        'wait',
        'prioritized',
        'delayed',
        'failed',
      );
      const left = Object.entries(counts).filter(([, count]) => count > 0);
      return left.length === 0 || new NotYet(JSON.stringify(left));
    });
  });
});

describe('a dead letter that this version did not write', () => {
  const id = 'b'.repeat(64);
  let url: string;
  beforeAll(async () => {
    ({ url } = await system.startBoard());
  });

  /** Parks an entry, with other data. */
  async function park(data: string): Promise<Job<DeadLetter>> {
    await queue({ dedup_id: id });
    await parked(id);
    await endClaim(id);
    await queues.redis.hset(queues.deadLetters.toKey(id), 'data', data);
    return parked(id);
  }

  async function board(path: string, method = 'GET'): Promise<number> {
    const answer = await fetch(`${url}${path}`, { method, headers: { 'Sec-Fetch-Site': 'same-origin' } });
    await answer.arrayBuffer();
    return answer.status;
  }
  const shown = () => board('/api/queues?activeQueue=dispatch-dead-letter&status=failed&page=1');
  const act = (action: string) => board(`/api/queues/dispatch-dead-letter/${id}/${action}`, 'PUT');

  test.each([
    ['no JSON', 'no {JSON'],
    ['null', 'null'],
    ['text', '"text"'],
    ['nothing', '{}'],
  ])('%s: shown, not redriven, and removed', async (_, data) => {
    await park(data);
    expect(await shown()).toBe(200);
    expect(await act('retry')).toBe(204);
    await until('it says that it cannot be sent', async () => {
      const entry = await parked(id);
      return entry.failedReason?.includes('remove it');
    });
    expect(await act('clean')).toBe(204);
    await isGone(id);
  });

  test.each([
    ['no JSON', 'no {JSON'],
    ['nothing', '{}'],
  ])('%s: replaced by the next death', async (_, data) => {
    await park(data);
    const job = await queue({ dedup_id: id });
    await parked(id, ({ dispatch_id }) => dispatch_id === job.id);
    expect(await act('clean')).toBe(204);
    await endClaim(id);
  });

  test('one that died by a clock that is ahead: its next run is a newer one all the same', async () => {
    const ahead = Date.now() + 3_600_000;
    const dispatch = testDispatch({ repo: REPO, dedup_id: id });
    const { dispatch_id } = dispatch.payload;
    await park(JSON.stringify({ hint: 'Install it.', dispatch_id, dedup_id: id, run: ahead, dispatch }));
    expect(await act('retry')).toBe(204);
    const again = await parked(id, ({ deaths }) => deaths === 2);
    expect(again.data).toMatchObject({ dispatch_id, run: ahead + 1 });
    expect(await act('clean')).toBe(204);
    await endClaim(id);
  });

  test('an old one, with nothing but the dispatch: shown and redriven', async () => {
    const dispatch = testDispatch({ repo: REPO, dedup_id: id });
    await park(JSON.stringify({ hint: 'Install it.', dedup_id: id, dispatch }));
    expect(await shown()).toBe(200);
    gitHub(204);
    expect(await act('retry')).toBe(204);
    await until('it is at GitHub', () => isSent(dispatch.payload.dispatch_id));
    await isGone(id);
  });
});

test('a failure in a backup of five days ago is not sent, until an operator wants it to be', async () => {
  gitHub(204);
  const failure = testDispatch({ repo: REPO, class: 'failure' });
  const success = testDispatch({ repo: REPO });
  const timestamp = Date.now() - 5 * 86_400_000;
  for (const dispatch of [failure, success]) {
    const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
    await queues.dispatches.add(name, data, { ...opts, timestamp });
  }
  await until('the success is at GitHub', () => isSent(success.payload.dispatch_id));
  const entry = await parked(failure.dedup_id);
  expect(entry.data.hint).toMatch(/Press Retry to send it anyway/);
  expect(isSent(failure.payload.dispatch_id)).toBe(false);
  await entry.retry();
  await until('the failure is at GitHub', () => isSent(failure.payload.dispatch_id));
});

describe('stalls', () => {
  const stalls = (job: Job) => queues.redis.hget(queues.dispatches.toKey(job.id ?? ''), 'stc');
  const isDelayed = (job: Job, attempts: number) =>
    until('it waits for its next try', async () => {
      const { attemptsMade = 0 } = (await queues.dispatches.getJob(job.id ?? '')) ?? {};
      return attemptsMade >= attempts && (await job.getState()) === 'delayed';
    });
  /** As if its worker had died so often. */
  const stall = async (job: Job, times: number) => {
    await queues.redis.hset(queues.dispatches.toKey(job.id ?? ''), 'stc', times);
    await job.promote().catch(() => undefined);
  };

  test('count within an attempt: four in one and four in the next kill nothing, six in one do', async () => {
    gitHub(503);
    const job = await queue();
    for (let attempt = 1; attempt <= 3; attempt++) {
      await isDelayed(job, attempt);
      expect(await stalls(job)).toBeNull();
      await stall(job, 4);
    }
    await isDelayed(job, 4);
    await stall(job, 6);
    const entry = await parked((job.data as Dispatch).dedup_id);
    expect(entry.data.error.message).toMatch(/more than 5 times in one attempt/);
  });
});
