import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import type { Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { describe, expect, inject, test } from 'vitest';
import { openQueues } from '../support/queues.ts';
import { UNHURRIED } from '../support/unhurried.ts';

const REPO = 'Altinn/gone';
const HOUR_MS = 3_600_000;

interface Deployed {
  readonly status: number;
  readonly outcome: string;
  readonly message: string | undefined;
  readonly id: string | undefined;
}

interface TestSystem extends AsyncDisposable {
  readonly stub: RunningGitHubStub;
  readonly system: System;
  readonly redis: Redis;
  readonly dispatches: Queue;
  readonly entries: Queue<DeadLetter>;
  /** Sends the deployment of an artifact, as Flux does at every interval, and returns the answer. */
  deploy(artifact: string): Promise<Deployed>;
  /** Sends an event of a given minute that is news, and returns the id of its dispatch. */
  send(minute: number, artifact: string, failure?: 'failure'): Promise<string>;
  /** Waits until a dispatcher has logged this outcome of a dispatch. */
  ended(id: string, outcome: string): Promise<boolean>;
  /** The entry of a dispatch, once it is parked. */
  entryOf(id: string): Promise<Job<DeadLetter>>;
  /** The one entry, once it is parked and `is` as asked. */
  parked(is?: (entry: DeadLetter) => boolean): Promise<Job<DeadLetter>>;
  /** How many calls GitHub has had for dispatches. */
  calls(): number;
  /** Puts a dispatch that waits for its next attempt off until `resume`. */
  postpone(id: string): Promise<unknown>;
  resume(id: string): Promise<void>;
  /** Ends the claim of an entry before its cooldown is over. */
  endCooldown(entry: Job<DeadLetter>): Promise<void>;
}

/** GitHub answers every dispatch with this status. */
function answering(status: number): FaultRule[] {
  return [{ match: { method: 'POST', repo: REPO }, action: { status } }];
}

/** Two replicas of each process, and a repository that GitHub does not know. */
async function openSystem(env: Record<string, string> = {}): Promise<TestSystem> {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const stub = stack.use(await startGitHubStub(credentials.stub));
  stub.setFaults(answering(404));
  const redisUrl = inject('redisUrl');
  const system = stack.use(
    await startSystem({
      ...{ redisUrl, githubUrl: stub.url, credentials, ingests: 2, dispatchers: 2 },
      env: { ...UNHURRIED, ...env },
    }),
  );
  const { redis, dispatches, deadLetters: entries } = stack.use(openQueues(redisUrl, system.prefix));
  let sent = 0;
  const opened = stack.move();
  return {
    ...{ stub, system, redis, entries, dispatches },
    async send(minute, artifact, failure) {
      const { eventsUrl } = system.ingests[sent++ % 2] ?? { eventsUrl: '' };
      const event = fluxEvent({
        timestamp: new Date(Date.parse('2026-03-05T12:00:00Z') + minute * 60_000),
        ...(failure ? { severity: 'error', reason: 'HealthCheckFailed' } : {}),
        metadata: {
          ...{ dispatch_repo: REPO, env: 'at23', revision: ociRevision('at23', artifact) },
          dispatch_event: failure ? 'flux-deploy-failed' : 'flux-deploy',
        },
      });
      const { body } = await postEvent(eventsUrl, event, credentials.token);
      expect(body.outcome).toBe('enqueued');
      return body.dispatch_id ?? '';
    },
    ended: (id, outcome) =>
      until(`${id} ends as ${outcome}`, () =>
        system.dispatchers
          .flatMap(({ process }) => process.log())
          .some(line => line['dispatch_id'] === id && line['outcome'] === outcome),
      ),
    entryOf: id =>
      until(`${id} is a dead letter`, async () =>
        (await entries.getFailed()).find(({ data }) => data.dispatch_id === id),
      ),
    async deploy(artifact) {
      const metadata = { dispatch_repo: REPO, env: 'at23', revision: ociRevision('at23', artifact) };
      const { eventsUrl } = system.ingests[sent++ % 2] ?? { eventsUrl: '' };
      const { status, body } = await postEvent(eventsUrl, fluxEvent({ metadata }), credentials.token);
      return { status, outcome: body.outcome, message: body.message, id: body.dispatch_id };
    },
    parked: (is = () => true) =>
      until('the entry is parked', async () => {
        const [entry, ...others] = await entries.getFailed();
        expect(others).toEqual([]);
        return entry && is(entry.data) && entry;
      }),
    calls: () =>
      [...stub.requests].reduce(
        (sum, [endpoint, count]) =>
          sum + (endpoint.startsWith('POST /repos/{owner}/{repo}/dispatches') ? count : 0),
        0,
      ),
    postpone: id =>
      until(`${id} waits for its next attempt`, async () => {
        const job = await dispatches.getJob(id);
        // Refused while an attempt is under way.
        return job?.changeDelay(HOUR_MS).then(
          () => true,
          () => false,
        );
      }),
    async resume(id) {
      await (await dispatches.getJob(id))?.promote();
    },
    async endCooldown({ data }) {
      await redis.del(claimKeys(system.prefix).claim(data.dedup_id ?? ''));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function sum(system: System, metric: string): Promise<number> {
  const values = await Promise.all(system.dispatchers.map(({ opsUrl }) => readMetric(opsUrl, metric)));
  return values.reduce((total, value) => total + value, 0);
}

test('404: one call, and one entry that says what to do; repeats within the cooldown make no further calls', async () => {
  await using d = await openSystem();
  const { outcome, id } = await d.deploy('v1');
  expect(outcome).toBe('enqueued');
  const entry = await d.parked();
  expect(entry.name).toBe('Altinn/gone flux-deploy at23 ReconciliationSucceeded');
  expect(entry.data).toMatchObject({
    hint: expect.stringContaining(
      'The GitHub App of flux-dispatch is not installed on Altinn/gone, or the repository does not exist',
    ),
    error: { code: '404', message: expect.stringContaining('GitHub answered 404') },
    attempts: 1,
    deaths: 1,
    dispatch_id: id,
    dispatch: { repo: REPO, payload: { dispatch_id: id } },
  });
  expect(Object.keys(entry.data)[0]).toBe('hint');
  expect(entry.data.first_died_at).toBe(entry.data.last_died_at);

  for (let interval = 0; interval < 5; interval++) {
    const repeat = await d.deploy('v1');
    expect(repeat).toMatchObject({ status: 422, outcome: 'undeliverable', id });
    expect(repeat.message).toBe(`${entry.data.error.message}. ${entry.data.hint}`);
  }
  expect(d.calls()).toBe(1);
  expect(await d.entries.getJobCounts('failed', 'wait')).toEqual({ failed: 1, wait: 0 });
  expect(await sum(d.system, 'flux_dispatch_dead_letters_total')).toBe(1);
  // The dispatch queue has nothing left of it.
  expect(await d.dispatches.getJobCounts('failed', 'wait', 'delayed')).toEqual({
    failed: 0,
    wait: 0,
    delayed: 0,
  });
});

test('the story of a repository without the App: the team hears of it, and the App is installed', async () => {
  await using d = await openSystem();
  d.stub.setFaults([]);
  d.stub.setInstallations({ notInstalled: ['Altinn'] });
  const first = await d.deploy('v1');
  expect(first).toMatchObject({ status: 202, outcome: 'enqueued', message: undefined });
  const entry = await d.parked();
  expect(await d.deploy('v1')).toMatchObject({
    ...{ status: 422, outcome: 'undeliverable', id: first.id },
    message: expect.stringContaining('install the App'),
  });
  d.stub.setInstallations({});
  // Nobody knows of it yet.
  expect((await d.deploy('v1')).outcome).toBe('undeliverable');
  await d.endCooldown(entry);
  const second = await d.deploy('v1');
  expect(second.outcome).toBe('enqueued');
  await d.ended(second.id ?? '', 'delivered');
  expect(await d.deploy('v1')).toMatchObject({
    ...{ status: 200, outcome: 'duplicate', id: second.id, message: undefined },
  });
});

test('a redriven dispatch is a plain duplicate while it is pending', async () => {
  await using d = await openSystem();
  const { id = '' } = await d.deploy('v1');
  const entry = await d.parked();
  d.stub.setFaults(answering(503));
  await entry.retry();
  await d.ended(id, 'retry');
  expect(await d.deploy('v1')).toMatchObject({ status: 200, outcome: 'duplicate', id });
});

test('after the cooldown the next event makes a new attempt: a failure updates the entry, a delivery removes it', async () => {
  await using d = await openSystem();
  await d.deploy('v1');
  const first = await d.parked();
  await d.endCooldown(first);
  const second = await d.deploy('v1');
  expect(second.outcome).toBe('enqueued');
  const again = await d.parked(({ deaths }) => deaths === 2);
  expect(again.data).toMatchObject({ dispatch_id: second.id, first_died_at: first.data.first_died_at });

  d.stub.setFaults([]);
  await d.endCooldown(again);
  expect((await d.deploy('v1')).outcome).toBe('enqueued');
  await until('the entry is gone', async () => (await d.entries.getFailedCount()) === 0);
  expect(d.stub.dispatches).toHaveLength(1);
  expect((await d.deploy('v1')).outcome).toBe('duplicate');
});

test('DEAD_LETTER_COOLDOWN=0s ends the claim at once', async () => {
  await using d = await openSystem({ DEAD_LETTER_COOLDOWN: '0s' });
  await d.deploy('v1');
  await d.parked();
  await until('the claim has ended', async () => (await d.deploy('v1')).outcome === 'enqueued');
  await d.parked(({ deaths }) => deaths === 2);
});

describe('Retry', () => {
  test('puts the dispatch back under its claim, and the entry goes', async () => {
    await using d = await openSystem();
    const { id } = await d.deploy('v1');
    const entry = await d.parked();
    d.stub.setFaults([]);
    await entry.retry();
    await until('it is at GitHub', () => d.stub.dispatches.length === 1);
    expect(d.stub.dispatches[0]?.client_payload?.['dispatch_id']).toBe(id);
    await until('the entry is gone', async () => (await d.entries.getJob(entry.id ?? '')) === undefined);
    expect(await d.deploy('v1')).toMatchObject({ outcome: 'duplicate', id });
  });

  test('that fails again leaves one entry, which counts it, however often', async () => {
    await using d = await openSystem();
    await d.deploy('v1');
    const first = await d.parked();
    // Its death may come while its entry is still being redriven, so it is tried more than once.
    for (let deaths = 2; deaths <= 12; deaths++) {
      await (await d.parked(entry => entry.deaths === deaths - 1)).retry();
      const entry = await d.parked(entry => entry.deaths === deaths);
      expect(entry.data.first_died_at).toBe(first.data.first_died_at);
      expect(d.calls()).toBe(deaths);
    }
  });

  test('has a retry window of its own', async () => {
    await using d = await openSystem({ DISPATCH_RETRY_WINDOW: '1h' });
    const { id = '' } = await d.deploy('v1');
    const entry = await d.parked();
    // Its job ends a moment later. With the entry made older it would be taken for one that was redriven already.
    await until('the job that died has ended', async () => !(await d.dispatches.getJob(id)));
    // As if the dispatch had been accepted, and had died, before the window that begins with Retry.
    const { run, dispatch, ...rest } = entry.data;
    const { accepted_at, ...others } = dispatch as Dispatch;
    const older = { ...others, accepted_at: accepted_at - 2 * HOUR_MS };
    await entry.updateData({ ...rest, run: run - 2 * HOUR_MS, dispatch: older });
    d.stub.setFaults(answering(500));
    await entry.retry();
    await d.ended(id, 'retry');
    d.stub.setFaults([]);
    await until('it is at GitHub', () => d.stub.dispatches.length === 1);
  });

  test('where a newer dispatch holds the claim, only the entry goes', async () => {
    await using d = await openSystem();
    await d.deploy('v1');
    const entry = await d.parked();
    await d.endCooldown(entry);
    // The newer one cannot be delivered for now, and so holds its claim.
    d.stub.setFaults(answering(503));
    const newer = await d.deploy('v1');
    expect(newer.outcome).toBe('enqueued');
    await entry.retry();
    await until('the entry is gone', async () => (await d.entries.getJob(entry.id ?? '')) === undefined);
    d.stub.setFaults([]);
    await until('the newer one is at GitHub', () => d.stub.dispatches.length > 0);
    expect(d.stub.dispatches.map(({ client_payload }) => client_payload?.['dispatch_id'])).toEqual([
      newer.id,
    ]);
  });

  test('of a dispatch that has not ended yet waits for it, and loses nothing', async () => {
    await using d = await openSystem();
    const { id = '' } = await d.deploy('v1');
    const entry = await d.parked();
    // Its entry is parked a moment before that.
    await until('the job that died has ended', async () => (await d.dispatches.getJob(id)) === undefined);
    // As if its worker stood still between burying it and ending its job.
    const { dedup_id = '', dispatch, run } = entry.data;
    const options = { jobId: id, timestamp: run, delay: 3_600_000 };
    await d.dispatches.add(entry.name, dispatch, options);
    await entry.retry();
    await until('it is being redriven', async () => (await d.entries.getJobState(dedup_id)) === 'active');
    await d.dispatches.remove(id);
    await until('it was tried again', () => d.calls() === 2);
    expect((await d.parked()).data.dispatch_id).toBe(id);
  });
});

describe('two dispatches of the same dedup id', () => {
  test('an older failure that ends as superseded leaves the entry of the newer one alone', async () => {
    await using d = await openSystem();
    d.stub.setFaults(answering(500));
    const first = await d.send(10, 'v1', 'failure');
    await d.postpone(first);
    d.stub.setFaults(answering(404));
    await d.send(20, 'v1');
    const second = await d.send(25, 'v1', 'failure');
    await d.entryOf(second);
    await d.resume(first);
    await d.ended(first, 'superseded');
    expect((await d.entryOf(second)).data.deaths).toBe(1);
  });

  test('an older deployment that dies after a newer one does not take its place, and Retry delivers', async () => {
    await using d = await openSystem();
    d.stub.setFaults(answering(500));
    const first = await d.send(10, 'A');
    await d.postpone(first);
    d.stub.setFaults(answering(404));
    await d.ended(await d.send(20, 'B'), 'dead');
    const second = await d.send(30, 'A');
    await d.entryOf(second);
    await d.resume(first);
    await d.ended(first, 'dead');
    d.stub.setFaults([]);
    await (await d.entryOf(second)).retry();
    await until('it is at GitHub', () => d.stub.dispatches.length === 1);
    expect(d.stub.dispatches[0]?.client_payload?.['dispatch_id']).toBe(second);
  });

  test('Retry takes over a claim that is in the cooldown of another dead dispatch', async () => {
    await using d = await openSystem();
    await d.deploy('v1');
    const entry = await d.parked();
    const claim = claimKeys(d.system.prefix).claim(entry.data.dedup_id ?? '');
    await d.redis.set(claim, 'another-that-died', 'PX', 3_600_000);
    d.stub.setFaults([]);
    await entry.retry();
    await until('it is at GitHub', () => d.stub.dispatches.length === 1);
  });
});

test('DEAD_LETTER_RETENTION removes an entry that long after its last death', async () => {
  await using d = await openSystem({ DEAD_LETTER_RETENTION: '1s' });
  const { id = '' } = await d.deploy('v1');
  await d.ended(id, 'dead');
  const removed = () =>
    d.system.dispatchers.flatMap(({ process }) => process.log()).map(line => line['removed']);
  await until('it is removed', () => removed().includes(1));
  expect(await d.entries.getJobCountByTypes()).toBe(0);
});

test('a dispatch that keeps killing its worker becomes a dead letter', async () => {
  await using d = await openSystem();
  d.stub.setFaults(answering(503));
  const { id = '' } = await d.deploy('v1');
  await until('it waits for its next try', async () => (await d.dispatches.getJobState(id)) === 'delayed');
  // What BullMQ counts each time that it finds the job without its worker.
  await d.redis.hset(d.dispatches.toKey(id), 'stc', 6);
  const calls = d.calls();
  const entry = await d.parked();
  expect(entry.data).toMatchObject({
    error: { code: 'internal' },
    hint: expect.stringMatching(/kills the dispatcher/),
  });
  expect(d.calls()).toBeLessThanOrEqual(calls + 1);
});
