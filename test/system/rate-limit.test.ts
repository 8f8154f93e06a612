import { randomUUID } from 'node:crypto';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createPause } from '@flux-dispatch/queue/limiter';
import { connectWorker, parseRedisUrl } from '@flux-dispatch/queue/redis';
import { createLogger } from '@flux-dispatch/runtime/log';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { type System, type SystemOptions, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, inject, test } from 'vitest';

/** @param aheadMs how far our clocks are ahead of GitHub's */
async function openDesk(env: Record<string, string>, options: Partial<SystemOptions> = {}, aheadMs = 0) {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const now = () => Date.now() - aheadMs;
  const stub = stack.use(await startGitHubStub({ ...credentials.stub, now }));
  const system = stack.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials, dispatchers: 2, env },
      ...options,
    }),
  );
  const opened = stack.move();
  return {
    ...{ stub, system },
    async deploy(n: number | string) {
      const metadata = { dispatch_repo: 'Altinn/limits', env: 'at23', revision: ociRevision('at23', `${n}`) };
      const event = fluxEvent({ name: `app-${n}`, metadata });
      expect((await postEvent(system.ingests[0]?.eventsUrl ?? '', event, credentials.token)).status).toBe(
        202,
      );
    },
    /** How often GitHub has refused for a limit. */
    refusals: () =>
      [...stub.requests].reduce((sum, [call, count]) => sum + (/ (403|429)$/.test(call) ? count : 0), 0),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const range = (count: number) => Array.from({ length: count }, (_, n) => n);

// What that is good for against GitHub's own limit, at its real times: test/faults/pace.test.ts.
test('the pace is that of all replicas together, and a single event does not wait for it', async () => {
  await using d = await openDesk({ DISPATCH_RATE: '8/1s' });
  await d.deploy('first');
  await until('the first one is at GitHub', () => d.stub.dispatches.length === 1, 900);
  await Promise.all(range(40).map(d.deploy));
  await until('all are at GitHub', () => d.stub.received === 41);
  const times = d.stub.dispatches.map(({ receivedAt }) => Date.parse(receivedAt));
  // 41 are five windows of 8 and one more: the last window begins five after the first.
  expect((times.at(-1) ?? 0) - (times[1] ?? 0)).toBeGreaterThan(3500);
});

test('a limit pauses every replica for as long as GitHub says, also without a pace', async () => {
  await using d = await openDesk({ DISPATCH_RATE: 'off', DISPATCH_CONCURRENCY: '1' });
  await d.deploy('ahead');
  await until('one is at GitHub', () => d.stub.received === 1);
  d.stub.setFaults([
    {
      match: { method: 'POST', path: '^/repos/' },
      times: 1,
      action: { status: 429, headers: { 'retry-after': '3' } },
    },
  ]);
  await Promise.all(range(40).map(d.deploy));
  await until('all are at GitHub', () => d.stub.received === 41);
  // Until the refusal and what was under way with it; then nothing for the pause; then all the rest.
  const times = d.stub.dispatches.map(({ receivedAt }) => Date.parse(receivedAt));
  const gaps = times.map((time, n) => time - (times[n - 1] ?? time));
  expect(d.refusals()).toBe(1);
  expect(Math.max(...gaps)).toBeGreaterThan(2000);
  expect(await sum(d.system, 'flux_dispatch_rate_limited_total')).toBe(1);
});

// A dispatcher 65 min ahead made 40 calls in 12 s during a primary limit.
test.each([
  ['', 0],
  ['with a clock 65 min ahead, ', 65 * 60_000],
  ['with a clock 65 min behind, ', -65 * 60_000],
])(
  '%san answer that says it was the last within the limit pauses before a refusal comes',
  async (_, aheadMs) => {
    const env = { DISPATCH_RATE: 'off', DISPATCH_CONCURRENCY: '1' };
    await using d = await openDesk(env, { dispatchers: 1 }, aheadMs);
    d.stub.setRateLimit({ limit: 4, windowMs: 2000 });
    await Promise.all(range(10).map(d.deploy));
    await until('all are at GitHub', () => d.stub.received === 10, 30_000);
    expect(d.refusals()).toBe(0);
    expect(await sum(d.system, 'flux_dispatch_rate_limited_total')).toBeGreaterThan(0);
  },
);

describe('a pause', () => {
  function openPause() {
    const log = createLogger('test', 'fatal');
    const redis = connectWorker({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
    const key = `pause-${randomUUID()}`;
    const pause = createPause({ toKey: () => key }, redis);
    return {
      told: (waitMs: number) => pause(waitMs),
      untold: () => pause(undefined),
      left: () => redis.pttl(key),
      pace: (count: number, ms: number) => redis.set(key, count, 'PX', ms),
      over: () => redis.del(key),
      [Symbol.dispose]: () => redis.disconnect(),
    };
  }
  const about = (ms: number) => (left: number) => left <= ms && left > ms - 5000;

  test('is only ever lengthened', async () => {
    using p = openPause();
    expect(await p.told(30_000)).toBe(30_000);
    // What is left of the longer one.
    expect(await p.told(10_000)).toSatisfy(about(30_000));
    expect(await p.left()).toSatisfy(about(30_000));
    expect(await p.told(50_000)).toBe(50_000);
    expect(await p.left()).toSatisfy(about(50_000));
  });

  test('takes the place of what the pace has counted', async () => {
    using p = openPause();
    await p.pace(3, 100_000);
    await p.told(30_000);
    expect(await p.left()).toSatisfy(about(30_000));
  });

  test('lasts a minute where GitHub does not say, and twice as long the next time', async () => {
    using p = openPause();
    await p.untold();
    expect(await p.left()).toSatisfy(about(60_000));
    // The others that were under way.
    await p.untold();
    expect(await p.left()).toSatisfy(about(60_000));
    await p.over();
    await p.untold();
    expect(await p.left()).toSatisfy(about(120_000));
    for (const _ of range(10)) {
      await p.over();
      await p.untold();
    }
    expect(await p.left()).toSatisfy(about(3_600_000));
  });

  test('that GitHub gives no time for lasts its minute also where a shorter one was told before', async () => {
    using p = openPause();
    await p.told(2000);
    await p.untold();
    expect(await p.left()).toSatisfy(about(60_000));
  });

  test('of no time is none', async () => {
    using p = openPause();
    await p.told(0);
    expect(await p.left()).toBe(-2);
  });
});

async function sum(system: System, metric: string): Promise<number> {
  const values = await Promise.all(system.dispatchers.map(({ opsUrl }) => readMetric(opsUrl, metric)));
  return values.reduce((total, value) => total + value, 0);
}
