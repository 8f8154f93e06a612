import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import {
  type EventOptions,
  fluxEvent,
  type IngestAnswer,
  ociRevision,
  postEvent,
  postSigned,
} from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { type Ingest, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { loadStory, STORY_TOKEN } from '../support/recorded-events.ts';
import { type StorySystem, startStorySystem } from '../support/story-system.ts';
import { UNHURRIED } from '../support/unhurried.ts';

// For months, on what Flux really says: what varies from one event to the next, and what time does to a deployment.

let stories: StorySystem;
let github: StorySystem['github'];
let system: StorySystem['system'];
let queues: StorySystem['queues'];

beforeAll(async () => {
  stories = await startStorySystem(inject('redisUrl'), 1);
  ({ github, system, queues } = stories);
});
afterAll(() => stories[Symbol.asyncDispose]());

/** When the stories begin: long enough ago for those that last a day. */
const START = Date.now() - 48 * 3_600_000;
let objects = 0;

type Metadata = Readonly<Record<string, string>>;

/** An object of its own. */
function object(kind: 'Kustomization' | 'HelmRelease', defaults: Metadata = {}) {
  const name = `right-${++objects}`;
  const repo = `Altinn/${name}`;
  /** @param minute of the event's timestamp; undefined: it has none */
  const send = async (
    minute: number | undefined,
    options: EventOptions,
    metadata: Metadata = {},
    ingest?: Ingest,
  ) => {
    const timestamp = minute === undefined ? null : new Date(START + minute * 60_000);
    const own = { dispatch_repo: repo, product: 'product', env: 'at23', ...defaults, ...metadata };
    const event = fluxEvent({ kind, name, timestamp, ...options, metadata: own });
    const { eventsUrl } = ingest ?? system.ingests[0] ?? { eventsUrl: '' };
    return (await postEvent(eventsUrl, event, STORY_TOKEN)).body.outcome;
  };
  const failure = (reason: string, message: string): EventOptions => {
    return { reason, message, severity: reason === 'RollbackSucceeded' ? 'info' : 'error' };
  };
  return {
    ...{ name, repo, send },
    fail: (minute: number, reason: string, message: string, metadata: Metadata = {}) =>
      send(minute, failure(reason, message), { dispatch_event: 'flux-deploy-failed', ...metadata }),
    /** The event types that GitHub has received for it. */
    received: () =>
      github.dispatches
        .filter(({ client_payload }) => client_payload['kustomization_name'] === name)
        .map(({ event_type }) => event_type),
    sends: (count: number) => until(`${name} is at GitHub`, () => sentOf(name) === count),
  };
}

const sentOf = (name: string) =>
  github.dispatches.filter(({ client_payload }) => client_payload['kustomization_name'] === name).length;

const count = (outcomes: readonly string[]) =>
  Object.fromEntries(
    [...Map.groupBy(outcomes, outcome => outcome)].map(([outcome, all]) => [outcome, all.length]),
  );

/** Ends all claims, as if an hour had passed since whatever was delivered. */
async function expireClaims(): Promise<void> {
  const claims = await queues.redis.keys(`${claimKeys(system.prefix).claim('')}*`);
  for (const claim of claims) if ((await queues.redis.pttl(claim)) >= 0) await queues.redis.del(claim);
}

async function drained(): Promise<void> {
  await until('nothing waits', async () => {
    const counts = await queues.dispatches.getJobCounts('wait', 'prioritized', 'active');
    return Object.values(counts).every(each => each === 0);
  });
}

function takeGitHubDown(repo: string): void {
  github.setFaults([{ match: { repo }, action: { status: 503 } }]);
}

function outcomesOf(repo: string, outcome: string): number {
  const lines = system.dispatchers.flatMap(({ process }) => process.log());
  return lines.filter(line => line['repo'] === repo && line['outcome'] === outcome).length;
}

const RESOURCES = ['Deployment/product/api', 'Deployment/product/web', 'StatefulSet/product/db'];
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
];

/** In the order of a Go map, which is any. */
function unready(turn: number): string {
  const order = ORDERS[turn % ORDERS.length] ?? [];
  return `timeout waiting for: [${order.map(n => `${RESOURCES[n]} status: 'InProgress'`).join(', ')}]`;
}

describe('failures that are said in other words each time', () => {
  const helm = { revision: '0.1.0', 'app-version': '1.2.3' };

  test('20 retries of a Helm upgrade, UpgradeFailed and RollbackSucceeded in turn: 2 dispatches', async () => {
    const app = object('HelmRelease', helm);
    const outcomes: string[] = [];
    for (let retry = 0; retry < 20; retry++) {
      const words =
        retry % 2 === 0
          ? `Helm upgrade failed for release product/app with chart app@0.1.0: ${unready(0)}\n\nLast Helm logs:\n\n2026-11-21T12:38:${10 + retry}.${retry}93259831Z: performing update`
          : `Helm rollback to previous release product/app.v${retry} with chart app@0.1.0 succeeded`;
      outcomes.push(await app.fail(retry, retry % 2 === 0 ? 'UpgradeFailed' : 'RollbackSucceeded', words));
    }
    expect(count(outcomes)).toEqual({ enqueued: 2, duplicate: 18 });
    await app.sends(2);
  });

  test('TestFailed of release .v2, .v4, … ten times: 1 dispatch', async () => {
    const app = object('HelmRelease', helm);
    const outcomes: string[] = [];
    for (let retry = 0; retry < 10; retry++) {
      const words = `Helm test failed for release product/app.v${2 * retry + 2} with chart app@0.1.0: 1 error occurred`;
      outcomes.push(await app.fail(retry, 'TestFailed', words));
    }
    expect(count(outcomes)).toEqual({ enqueued: 1, duplicate: 9 });
    await app.sends(1);
  });

  test('20 retries that wait for the same resources in any order: 1 dispatch', async () => {
    const app = object('HelmRelease', helm);
    const outcomes: string[] = [];
    for (let retry = 0; retry < 20; retry++) {
      const words = `Helm upgrade failed for release product/app with chart app@0.1.0: ${unready(retry)}`;
      outcomes.push(await app.fail(retry, 'UpgradeFailed', words));
    }
    expect(count(outcomes)).toEqual({ enqueued: 1, duplicate: 19 });
    await app.sends(1);
  });

  test('ArtifactFailed without revision, from another port each time, 20 times in an hour: 1 dispatch', async () => {
    const app = object('Kustomization');
    const outcomes: string[] = [];
    for (let retry = 0; retry < 20; retry++) {
      const words = `failed to download archive: Get "http://source-controller/a.tar.gz": dial tcp: lookup source-controller: read udp 10.244.1.7:${41_234 + retry}->10.96.0.10:53: i/o timeout`;
      outcomes.push(await app.fail(retry * 3, 'ArtifactFailed', words));
    }
    expect(count(outcomes)).toEqual({ enqueued: 1, rate_limited: 19 });
    await app.sends(1);
  });
});

describe('deployments that stay as they are', () => {
  test('201 unchanged objects with DEDUP_MAX_ENTRIES=200: no dispatch after the first round', async () => {
    const ingest = await system.startIngest({ DEDUP_MAX_ENTRIES: '200' });
    const all = Array.from({ length: 201 }, () => object('Kustomization'));
    const round = async (minute: number) => {
      const revision = ociRevision('at23', 'unchanged');
      return count(await Promise.all(all.map(({ send }) => send(minute, {}, { revision }, ingest))));
    };
    expect(await round(0)).toEqual({ enqueued: 201 });
    for (const minute of [60, 120, 180]) {
      await drained();
      await expireClaims();
      expect(await round(minute)).toEqual({ duplicate: 201 });
    }
  });

  test.each([
    ['a Kustomization', object('Kustomization'), {}, { revision: ociRevision('at23', 'A') }],
    [
      'a HelmRelease',
      object('HelmRelease'),
      {
        reason: 'UpgradeSucceeded',
        message: 'Helm upgrade succeeded for release product/app.v2 with chart app@0.1.0',
      },
      { revision: '0.1.0' },
    ],
  ])('%s with an interval of 48 h, five reports: 1 dispatch', async (_, app, options, metadata) => {
    const outcomes: string[] = [];
    for (let report = 0; report < 5; report++) {
      outcomes.push(await app.send(report * 500, options, metadata));
      await drained();
      await expireClaims();
    }
    expect(count(outcomes)).toEqual({ enqueued: 1, duplicate: 4 });
    expect(app.received()).toEqual(['flux-deploy']);
  });

  test('a HelmRelease that is deleted and created again with other values: dispatched', async () => {
    const app = object('HelmRelease', { revision: '0.1.0' });
    const installed = {
      reason: 'InstallSucceeded',
      message: `Helm install succeeded for release product/${app.name}.v1 with chart app@0.1.0`,
    };
    const removed = {
      reason: 'UninstallSucceeded',
      message: `Helm uninstall succeeded for release product/${app.name}.v1`,
    };
    expect(await app.send(0, { ...installed, uid: '36ffe930-1d24-426b-ba2b-f7c5ed7b0d79' })).toBe('enqueued');
    expect(await app.send(9, { ...removed, uid: '36ffe930-1d24-426b-ba2b-f7c5ed7b0d79' })).toBe(
      'ignored_reason',
    );
    expect(await app.send(10, { ...installed, uid: 'd609cf9a-8d0a-4a53-9f6b-f7c5ed7b0d79' })).toBe(
      'enqueued',
    );
    expect(await app.send(11, { ...installed, uid: 'd609cf9a-8d0a-4a53-9f6b-f7c5ed7b0d79' })).toBe(
      'duplicate',
    );
    await app.sends(2);
  });
});

describe('only a failure Alert, with severity info', () => {
  const failedAlert = { dispatch_event: 'flux-deploy-failed', revision: ociRevision('at23', 'A') };

  test('the second outage of an artifact is dispatched, as its success was not routed but seen', async () => {
    const app = object('Kustomization', failedAlert);
    expect(await app.fail(0, 'HealthCheckFailed', unready(0))).toBe('enqueued');
    await app.sends(1);
    expect(await app.fail(1, 'HealthCheckFailed', unready(1))).toBe('duplicate');
    expect(await app.send(2, {})).toBe('not_routed');
    expect(await app.fail(3, 'HealthCheckFailed', unready(2))).toBe('enqueued');
    expect(await app.fail(4, 'HealthCheckFailed', unready(3))).toBe('duplicate');
    await app.sends(2);
  });

  test('a failure that still waits when the success is seen is superseded, and not sent', async () => {
    const app = object('Kustomization', failedAlert);
    takeGitHubDown(app.repo);
    expect(await app.fail(0, 'HealthCheckFailed', unready(0))).toBe('enqueued');
    await until('it was tried', () => outcomesOf(app.repo, 'retry') > 0);
    expect(await app.send(300, {})).toBe('not_routed');
    github.setFaults([]);
    await until('it has ended', () => outcomesOf(app.repo, 'superseded') === 1);
    expect(await app.fail(301, 'HealthCheckFailed', unready(0))).toBe('enqueued');
    await app.sends(1);
  });
});

describe('clocks', () => {
  const CLOCK = pathToFileURL(join(import.meta.dirname, '../simulation/skewed-clock.mjs')).href;
  const upgraded = (release: number): EventOptions => ({
    reason: 'UpgradeSucceeded',
    message: `Helm upgrade succeeded for release product/app.v${release} with chart app@0.1.0`,
  });

  test.each([
    ['10 min behind', -600],
    ['10 min ahead', 600],
  ])('a replica of ingest whose clock is %s takes and loses no Helm success', async (_, seconds) => {
    const skewed = await system.startIngest({
      NODE_OPTIONS: `--import ${CLOCK}`,
      SIMULATED_CLOCK_S: `${seconds}`,
    });
    const [straight] = system.ingests;
    const app = object('HelmRelease', { revision: '0.1.0' });
    const now = () => (Date.now() - START) / 60_000;
    // Through each replica in turn, with the time of the controller and without any.
    const outcomes = [];
    let release = 0;
    for (const minute of [now, () => undefined]) {
      for (const ingest of [straight, skewed, straight, skewed]) {
        outcomes.push(await app.send(minute(), upgraded(++release), {}, ingest));
      }
    }
    expect(outcomes).toEqual(outcomes.map(() => 'enqueued'));
    await app.sends(outcomes.length);
    // And each dispatch knows when it was accepted.
    const { timestamp = 0 } = (await queues.dispatches.getCompleted(0, 0))[0] ?? {};
    expect(Math.abs(Date.now() - timestamp)).toBeLessThan(300_000);
  });
});

describe('dependsOn, through a failure Alert with severity info', () => {
  const failedAlert = { dispatch_event: 'flux-deploy-failed', revision: ociRevision('at23', 'A') };
  const notReady: EventOptions = {
    reason: 'DependencyNotReady',
    severity: 'info',
    message: 'Dependencies do not meet ready condition, retrying in 5s',
  };

  test('a normal deploy: no dispatch', async () => {
    const app = object('Kustomization', failedAlert);
    expect(await app.send(0, notReady)).toBe('enqueued');
    expect(await app.send(1, notReady)).toBe('duplicate');
    expect(await app.send(2, {})).toBe('not_routed');
    const [waiting] = (await queues.dispatches.getDelayed()).filter(({ data }) => data.repo === app.repo);
    expect(waiting?.delay).toBe(300_000);
    // The five minutes are over, by Redis' clock as well.
    await queues.redis.hincrby(queues.dispatches.toKey(waiting?.id ?? ''), 'timestamp', -300_000);
    await waiting?.promote();
    await until('it has ended', () => outcomesOf(app.repo, 'superseded') === 1);
    expect(app.received()).toEqual([]);
  });

  test('dependencies that do not become ready: dispatched after DEPENDENCY_GRACE', async () => {
    const ingest = await system.startIngest({ DEPENDENCY_GRACE: '1s' });
    const app = object('Kustomization', failedAlert);
    const sentAt = Date.now();
    expect(await app.send(0, notReady, {}, ingest)).toBe('enqueued');
    await app.sends(1);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(1000);
    expect(app.received()).toEqual(['flux-deploy-failed']);
  });
});

describe('deletions, as real Flux reports them', () => {
  const post = async ({ body, signature }: { body: string; signature: string }) =>
    (await postSigned(system.ingests[0]?.eventsUrl ?? '', Buffer.from(body), signature)).body.outcome;

  test('a failing Kustomization is deleted: ignored', async () => {
    const { requests } = loadStory('37-delete-while-failing');
    const deletions = requests.filter(({ body }) => {
      const { reason, severity } = JSON.parse(body);
      return reason === 'HealthCheckFailed' && severity === 'info';
    });
    expect(deletions).toHaveLength(2);
    for (const deletion of deletions) expect(await post(deletion)).toBe('ignored_reason');
  });

  test('a healthy Kustomization is deleted a month later: its deployment is known', async () => {
    const { requests } = loadStory('39-delete-without-claim');
    const [deleted, reconciled] = requests;
    if (!deleted || !reconciled) throw new Error('The story has two events');
    expect(await post(reconciled)).toBe('enqueued');
    await drained();
    await expireClaims();
    expect(await post(deleted)).toBe('duplicate');
    expect(await post(reconciled)).toBe('duplicate');
  });
});

test('one dispatch behind 2,000 of another repository is sent after one of them', async () => {
  const BACKLOG = 2000;
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  await using crowded = await startSystem({
    ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials, dispatchers: 0 },
    env: UNHURRIED,
  });
  const url = crowded.ingests[0]?.eventsUrl ?? '';
  const deploy = async (repo: string, n: number) => {
    const metadata = { dispatch_repo: `Altinn/${repo}`, revision: ociRevision('at23', 'A') };
    const { status } = await postEvent(url, fluxEvent({ name: `${repo}-${n}`, metadata }), credentials.token);
    expect(status).toBe(202);
  };
  for (let n = 0; n < BACKLOG; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => deploy('many', n + index)));
  }
  await deploy('few', 0);
  await deploy('other', 0);

  await crowded.startDispatcher({ DISPATCH_CONCURRENCY: '1' });
  await until('it is at GitHub', () => stub.dispatches.some(({ repo }) => repo === 'other'));
  expect(stub.dispatches.slice(0, 3).map(({ repo }) => repo)).toEqual(['many', 'few', 'other']);
});

test('Redis is away: 503 without Retry-After, also for a success that is not routed, and nothing is lost', async () => {
  await using own = await acquireRedis({ path: inject('path'), controllable: true });
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  await using away = await startSystem({
    ...{ redisUrl: own.url, githubUrl: stub.url, credentials, env: UNHURRIED },
  });
  const metadata = { dispatch_repo: 'Altinn/away', revision: ociRevision('at23', 'A') };
  const at = (second: number) => new Date(START + second * 1000);
  const post = (second: number, options: EventOptions = {}): Promise<IngestAnswer> => {
    const event = fluxEvent({
      timestamp: at(second),
      ...options,
      metadata: { ...metadata, dispatch_event: 'flux-deploy-failed' },
    });
    return postEvent(away.ingests[0]?.eventsUrl ?? '', event, credentials.token);
  };
  const outage: EventOptions = {
    severity: 'error',
    reason: 'HealthCheckFailed',
    message: 'health check failed',
  };
  expect((await post(0, outage)).body.outcome).toBe('enqueued');
  await until('it is at GitHub', () => stub.dispatches.length === 1);

  await own.control.kill();
  for (const answer of [await post(10), await post(11, outage)]) {
    expect(answer).toMatchObject({ status: 503, body: { outcome: 'queue_unavailable' } });
    expect(answer.headers.has('retry-after')).toBe(false);
  }
  await own.control.start();
  // As Flux sends it again.
  const again = await until('ingest takes it', async () => {
    const answer = await post(10);
    return answer.status < 500 && answer;
  });
  expect(again.body.outcome).toBe('not_routed');
  expect((await post(20, outage)).body.outcome).toBe('enqueued');
});
