import { setTimeout as delay } from 'node:timers/promises';
import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { type Ingest, type System, startSystem } from '@flux-dispatch/testbed/system';
import type { ControllableRedis } from '@flux-dispatch/testbed/test-redis';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, type TestContext, test } from 'vitest';
import { startFlux } from '../support/flux-client.ts';
import { openLedger } from '../support/ledger.ts';
import { type SentinelRedis, startSentinelRedis } from './sentinel-redis.ts';

const DISPATCH_CONCURRENCY = 16;
/** Deployments. */
const WAVE = 100;
// Stalled jobs come back within 45 s.
const SETTLED_WITHIN_MS = 100_000;

// 5 s for a job, and 1 s more for the answer. Then it resets the connection that it waits on.
const LONGER_THAN_BULLMQ_WAITS_MS = 8000;

/** A kill finds dispatches before and after GitHub has recorded them. */
const SLOW_GITHUB: readonly FaultRule[] = [false, true].map(afterHandling => ({
  match: { method: 'POST', path: '/repos/' },
  action: { latencyMs: 150, afterHandling },
}));

// Every test leaves it healthy.
let redis: SentinelRedis;
beforeAll(async () => {
  redis = await startSentinelRedis(inject('path'));
});
afterAll(() => redis[Symbol.asyncDispose]());

test('Sentinel failover ×3', async ({ task }) => {
  await underLoad(task, async ({ deployWhile, injected }) => {
    for (let failover = 0; failover < 3; failover++) {
      await deployWhile(async () => {
        const old = await redis.failover('kill');
        await old.control.start();
        await redis.rejoin(old);
      });
      injected();
    }
  });
});

// Its machine hangs, say: no connection is closed, packets are acknowledged, and nothing is ever answered.
test('Sentinel failover from a primary and a sentinel that stand still', async ({ task }) => {
  await underLoad(task, async ({ deployWhile, injected, settled }) => {
    // The first that every process asks.
    const [sentinel] = redis.sentinels as [ControllableRedis];
    const old = await deployWhile(() => redis.failover('pause', sentinel));
    // All of them find the new primary while the old one still holds their connections.
    await settled();
    await sentinel.control.resume();
    await old.control.resume();
    await redis.rejoin(old);
    injected();
  });
});

// What has made workers deaf: https://github.com/taskforcesh/bullmq/issues/4378 and 4585.
test('no sentinel there while connections break', async ({ task }) => {
  await underLoad(task, async ({ deployWhile, injected }) => {
    await deployWhile(async () => {
      const primary = await redis.primary();
      await Promise.all(redis.sentinels.map(({ control }) => control.kill()));
      await dropClients(primary);
      await delay(LONGER_THAN_BULLMQ_WAITS_MS);
      await Promise.all(redis.sentinels.map(({ control }) => control.start()));
      await redis.rejoin();
    });
    injected();
  });
});

/** Breaks all connections to a server but those of its replicas and of Pub/Sub. */
async function dropClients({ url }: ControllableRedis): Promise<void> {
  const client = new Redis(url);
  try {
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal');
  } finally {
    client.disconnect();
  }
}

describe('REDIS_WAIT_REPLICAS', () => {
  test('without a replica 503, and nothing is promised; with one 202', async () => {
    await using replicated = await startReplicated({ redisUrl: redis.url });
    const { send, arrived } = replicated;
    const replicas = await redis.replicas();
    for (const { control } of replicas) await control.kill();

    const refused = await send('alone');
    expect(refused).toMatchObject({ status: 503, body: { outcome: 'queue_unavailable' } });
    expect(refused.body.dispatch_id).toBeUndefined();
    expect(refused.headers.get('retry-after')).toBeNull();

    const [one, ...others] = replicas as [ControllableRedis, ...ControllableRedis[]];
    await one.control.start();
    await redis.follow(one);
    await until('one replica is enough', async () => (await send('one replica')).status < 300);
    expect(await send('another')).toMatchObject({ status: 202, body: { outcome: 'enqueued' } });
    // It may have been queued all the same, and is promised now: once it is, in any case.
    expect([200, 202]).toContain((await send('alone')).status);
    await arrived('alone', 'one replica', 'another');

    for (const { control } of others) await control.start();
    await redis.rejoin(...replicas);
  });

  test('redis:// to the primary works like redis-sentinel://', async () => {
    await using replicated = await startReplicated({ redisUrl: (await redis.primary()).url });
    expect(await replicated.send('direct')).toMatchObject({ status: 202, body: { outcome: 'enqueued' } });
    await replicated.arrived('direct');
  });
});

/** One replica of each process, with REDIS_WAIT_REPLICAS=1. */
async function startReplicated({ redisUrl }: { redisUrl: string }) {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const github = stack.use(await startGitHubStub(credentials.stub));
  const system = stack.use(
    await startSystem({
      ...{ redisUrl, githubUrl: github.url, credentials, env: { REDIS_WAIT_REPLICAS: '1' } },
    }),
  );
  const started = stack.move();
  return {
    send: (name: string) =>
      postEvent(system.ingests[0]?.eventsUrl ?? '', deployment(name), credentials.token),
    /** Waits until GitHub has these and no others, once each. */
    async arrived(...names: string[]) {
      await until('all are at GitHub', () => github.received >= names.length);
      const received = github.dispatches.map(({ client_payload }) => client_payload['kustomization_name']);
      expect(received.toSorted()).toEqual(names.toSorted());
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

function deployment(name: string): Buffer {
  const revision = ociRevision('at23', name);
  return fluxEvent({ name, metadata: { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision } });
}

// BullMQ's workers have stopped noticing jobs in ways that cannot be reproduced any more. A dispatcher that Redis forbids to
// wait for jobs behaves the same: it runs, Redis answers it, and it notices nothing that arrives.
test('/healthz of a dispatcher fails while it no longer notices new jobs', async () => {
  await using single = await acquireRedis({
    path: inject('path'),
    controllable: true,
    ways: ['PATH', 'apt-get'],
  });
  using stack = new DisposableStack();
  const client = stack.adopt(new Redis(single.url), client => client.disconnect());
  await using credentials = await createCredentials();
  await using github = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl: single.url, githubUrl: github.url, credentials, dispatchers: 2 },
  });
  const [ingest] = system.ingests as [Ingest];
  const dispatchers = system.dispatchers.map(({ opsUrl }) => `${opsUrl}/healthz`);
  const statuses = () => Promise.all(dispatchers.map(async url => (await fetch(url)).status));

  await postEvent(ingest.eventsUrl, deployment('noticed'), credentials.token);
  await until('it is at GitHub', () => github.received === 1);
  await client.acl('SETUSER', 'default', '-bzpopmin');
  // A wait that has begun before would still end with the next job.
  const waiting = async () => !/^blocked_clients:0\r?$/m.test(await client.info('clients'));
  await until('none waits any more', async () => !(await waiting()));
  await postEvent(ingest.eventsUrl, deployment('unnoticed'), credentials.token);
  expect(await statuses()).toEqual([200, 200]);
  await until('both are unhealthy', async () => (await statuses()).every(status => status === 503), 90_000);
  expect(github.received).toBe(1);
  const answer = await fetch(dispatchers[0] ?? '');
  expect(await answer.json()).toMatchObject({ reason: expect.stringMatching(/takes none: restart it/) });

  // A restart would help; so does the end of the cause.
  await client.acl('SETUSER', 'default', '+bzpopmin');
  await until('it is at GitHub', () => github.received === 2);
  await until('both are healthy', async () => (await statuses()).every(status => status === 200));
});

interface Load {
  /** Injects the fault amid one wave of deployments, and with another. Resolves when Flux is through with them. */
  deployWhile<T>(fault: () => Promise<T>): Promise<T>;
  injected(): void;
  /** Resolves when all that was deployed is accepted and at GitHub, and all processes are healthy. */
  settled(): Promise<void>;
}

/** Two replicas of ingest and dispatcher, and Flux deploying and reporting all the while; then checks the figures. */
async function underLoad(task: TestContext['task'], run: (load: Load) => Promise<void>): Promise<void> {
  await using credentials = await createCredentials();
  await using github = await startGitHubStub(credentials.stub);
  github.setFaults(SLOW_GITHUB);
  await using system = await startSystem({
    ...{ redisUrl: redis.url, githubUrl: github.url, credentials, ingests: 2, dispatchers: 2 },
    env: { DISPATCH_RATE: 'off', REDIS_WAIT_REPLICAS: '1' },
  });
  const ledger = openLedger();
  await using flux = startFlux(
    () => system.ingests.map(({ eventsUrl }) => eventsUrl),
    credentials.token,
    ledger,
  );
  const settled = async () => {
    const delivered = () => ledger.accepted === flux.deployments && ledger.missing(github, []).length === 0;
    await until('all is accepted and at GitHub', delivered, SETTLED_WITHIN_MS);
    await until('all are healthy', async () => (await ailments(system)).length === 0);
  };
  await run({
    async deployWhile(fault) {
      const before = github.received;
      const deploying = flux.deploy(WAVE);
      await until('GitHub has received some', () => github.received >= before + WAVE / 5);
      const [result] = await Promise.all([fault(), deploying.then(() => flux.deploy(WAVE))]);
      return result;
    },
    injected: ledger.injected,
    settled,
  });
  await settled();
  const { figures, renamed, repeats, repeatsByInjection } = ledger.balance(github, []);
  task.meta.figures = figures;

  expect(figures).toMatchObject({
    ...{ accepted: flux.deployments, dispatched: flux.deployments, lost: 0, dead: 0 },
  });
  expect(figures.events).toBeGreaterThan(flux.deployments);
  expect(renamed, 'deployments with another dispatch id').toEqual([]);
  expect(Math.max(...repeatsByInjection)).toBeLessThanOrEqual(DISPATCH_CONCURRENCY);
  expect(repeatsByInjection.reduce((sum, count) => sum + count)).toBe(repeats);
}

/** What the probes of all processes complain of. */
async function ailments({ ingests, dispatchers }: System): Promise<string[]> {
  const origins = [
    ...[...ingests, ...dispatchers].map(({ opsUrl }) => opsUrl),
    ...ingests.map(({ eventsUrl }) => new URL(eventsUrl).origin),
  ];
  const probes = origins.flatMap(origin => [`${origin}/healthz`, `${origin}/readyz`]);
  const answers = await Promise.all(
    probes.map(async probe => {
      const answer = await fetch(probe);
      return answer.ok ? [] : [`${probe}: ${await answer.text()}`];
    }),
  );
  return answers.flat();
}
