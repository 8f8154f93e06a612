import { randomUUID } from 'node:crypto';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createPaceGate, createPause, type Pace, paceRatio } from '@flux-dispatch/queue/limiter';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { startRecordingProxy } from '@flux-dispatch/testbed/recording-proxy';
import { type System, type SystemOptions, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, inject, test } from 'vitest';
import { openQueues } from '../support/queues.ts';
import { UNHURRIED } from '../support/unhurried.ts';

/**
 * Two dispatchers, unless told otherwise, behind a proxy that records when they send what.
 * @param aheadMs how far our clocks are ahead of GitHub's
 */
async function openSystem(env: Record<string, string>, options: Partial<SystemOptions> = {}, aheadMs = 0) {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const now = () => Date.now() - aheadMs;
  const stub = stack.use(await startGitHubStub({ ...credentials.stub, now }));
  const proxy = stack.use(await startRecordingProxy(stub.url));
  const system = stack.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: proxy.url, credentials, dispatchers: 2 },
      ...{ ...options, env: { ...UNHURRIED, ...env } },
    }),
  );
  const { redis, dispatches: queue } = stack.use(openQueues(inject('redisUrl'), system.prefix));
  const opened = stack.move();
  return {
    ...{ stub, system, redis, queue },
    async deploy(n: number | string) {
      const metadata = { dispatch_repo: 'Altinn/limits', env: 'at23', revision: ociRevision('at23', `${n}`) };
      const event = fluxEvent({ name: `app-${n}`, metadata });
      expect((await postEvent(system.ingests[0]?.eventsUrl ?? '', event, credentials.token)).status).toBe(
        202,
      );
    },
    /** Which dispatches were sent and when, in milliseconds since the epoch, with the refused ones. */
    sent: () =>
      proxy.requests
        .filter(({ path }) => path.endsWith('/dispatches'))
        .map(({ at, body }) => ({ at, id: String(JSON.parse(body.toString()).client_payload.dispatch_id) })),
    /** How often GitHub has refused for a limit. */
    refusals: () =>
      [...stub.requests].reduce((sum, [call, count]) => sum + (/ (403|429)$/.test(call) ? count : 0), 0),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const HOUR_MS = 3_600_000;

/** At most `ms`, and more than half of it: the test itself takes no time that matters beside that. */
const about = (ms: number) => (left: number) => left <= ms && left > ms / 2;

const range = (count: number) => Array.from({ length: count }, (_, n) => n);

// What that is good for against GitHub's own limit, at its real times: test/faults/pace.test.ts.
test('the pace is that of all replicas together', async () => {
  await using d = await openSystem({ DISPATCH_RATE: '8/1s' });
  const startedAt = Date.now();
  await Promise.all(range(41).map(d.deploy));
  await until('all are at GitHub', () => d.stub.received === 41);
  // 41 are five windows of 8 and one more: the last window begins five after the first, but for the rounding of clocks.
  expect((d.sent().at(-1)?.at ?? 0) - startedAt).toBeGreaterThan(4900);
});

test('a single event does not wait for the pace', async () => {
  await using d = await openSystem({ DISPATCH_RATE: '1/1h' }, { dispatchers: 1 });
  await d.deploy('first');
  await until('it is at GitHub', () => d.stub.received === 1);
});

test('a limit pauses every replica for as long as GitHub says, also without a pace', async () => {
  await using d = await openSystem({ DISPATCH_CONCURRENCY: '1' });
  await d.deploy('ahead');
  await until('one is at GitHub', () => d.stub.received === 1);
  const match = { method: 'POST', path: '^/repos/' };
  d.stub.setFaults([
    // So slow that a replica cannot send all of them before the other one has set the pause.
    { match, action: { latencyMs: 100 } },
    { match, times: 1, action: { status: 429, headers: { 'retry-after': '3' } } },
  ]);
  await Promise.all(range(40).map(d.deploy));
  await until('all are at GitHub', () => d.stub.received === 41);

  const sent = d.sent();
  const again = sent.find(({ id }, n) => sent.findIndex(each => each.id === id) < n);
  const refused = sent.find(({ id }) => id === again?.id);
  // From the moment at which the pause is known to be set until the earliest at which it can be over.
  const [paused] = await until('the pause is in the log', () => {
    const lines = d.system.dispatchers.flatMap(({ process }) => process.log());
    const pauses = lines.filter(line => 'pause_ms' in line);
    return pauses.length > 0 && pauses;
  });
  const setAt = Date.parse(String(paused?.['time']));
  const overAt = (refused?.at ?? 0) + 3000;
  // The other replica may have taken one job before.
  expect(sent.filter(({ at }) => at > setAt && at < overAt).length).toBeLessThanOrEqual(1);
  expect(sent.filter(({ at }) => at >= overAt).length).toBeGreaterThan(1);
  expect(d.refusals()).toBe(1);
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
    await using d = await openSystem({ DISPATCH_CONCURRENCY: '1' }, { dispatchers: 1 }, aheadMs);
    d.stub.setRateLimit({ limit: 4, windowMs: HOUR_MS });
    await Promise.all(range(10).map(d.deploy));
    await until('the limit is reached', () => d.stub.received === 4);
    const [first] = d.system.dispatchers;
    first?.process.signal('SIGTERM');
    await first?.process.exited;
    expect(await d.queue.getJobCounts('prioritized', 'active', 'delayed')).toEqual({
      prioritized: 6,
      active: 0,
      delayed: 0,
    });
    // GitHub's times are whole seconds.
    expect(await d.redis.pttl(d.queue.toKey('limiter'))).toSatisfy(about(HOUR_MS + 2000));

    // As if the hour were over.
    d.stub.setRateLimit({});
    await d.redis.del(d.queue.toKey('limiter'));
    await d.system.startDispatcher();
    await until('all are at GitHub', () => d.stub.received === 10);
    expect(d.refusals()).toBe(0);
  },
);

describe('the pace', () => {
  async function openGates(rate: Pace | 'off', count = 2) {
    await using stack = new AsyncDisposableStack();
    const log = createLogger('test', 'fatal');
    const location = { REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} };
    const connect = () => stack.adopt(connectPatient(location, log), redis => redis.disconnect());
    const redis = connect();
    const prefix = `{pace-${randomUUID()}}`;
    const queue = { toKey: (name: string) => `${prefix}:${name}` };
    const gates = range(count).map(() => createPaceGate(queue, connect(), rate));
    const opened = stack.move();
    return {
      redis,
      queue,
      gates,
      pause: createPause(queue, redis),
      ratio: () => paceRatio(queue, redis),
      /** Makes what happened so much older. */
      pass: async (ms: number) => {
        const since = Number(await redis.hget(queue.toKey('pace'), 'since'));
        await redis.hset(queue.toKey('pace'), 'since', since - ms);
        await redis.del(queue.toKey('limiter'), queue.toKey('calls'));
      },
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  }

  /** Calls as often as the gate lets them, and returns the times at which it did, by Redis' clock. */
  async function callAll(d: Awaited<ReturnType<typeof openGates>>, calls: number): Promise<number[]> {
    const times: number[] = [];
    const callers = d.gates.map(async gate => {
      while (times.length < calls) {
        if ((await gate()) > 0) continue;
        const [seconds = 0, micros = 0] = (await d.redis.time()).map(Number);
        times.push(seconds * 1000 + Math.floor(micros / 1000));
      }
    });
    await Promise.all(callers);
    return times;
  }

  test('holds in any window, whenever it begins, for all replicas together', async () => {
    await using d = await openGates({ max: 20, per: 1000 });
    // Not from the beginning of a window: some calls were made a while before.
    const times = await callAll(d, 7);
    await until('half a window is over', () => Date.now() > (times[0] ?? 0) + 500);
    times.push(...(await callAll(d, 70)));
    times.sort((a, b) => a - b);
    // The time is read after the call was let go: the first of a window may be read late, the one after it not early.
    const most = Math.max(...times.map(from => times.filter(at => at >= from && at < from + 900).length));
    expect(most).toBeLessThanOrEqual(20);
  });

  test('takes up a call at once where there is room', async () => {
    await using d = await openGates({ max: 1, per: HOUR_MS }, 1);
    expect(await d.gates[0]?.()).toBe(0);
    expect(await d.gates[0]?.()).toBeGreaterThan(HOUR_MS / 2);
  });

  test('of a huge number is that number in a shorter window, and off is none', async () => {
    for (const rate of [{ max: 1_000_000, per: 1000 }, 'off'] as const) {
      await using d = await openGates(rate, 1);
      const waits = await Promise.all(range(3000).map(() => d.gates[0]?.()));
      expect(waits.every(wait => wait === 0)).toBe(true);
    }
  });

  test('also holds back what a pause holds back, without a pace too', async () => {
    await using d = await openGates('off', 1);
    await d.pause('primary', 30_000);
    expect(await d.gates[0]?.()).toSatisfy(about(30_000));
  });

  test('is halved by a secondary limit, down to a tenth, and comes back step by step', async () => {
    await using d = await openGates({ max: 8, per: HOUR_MS }, 1);
    expect(await d.ratio()).toBe(1);
    await d.pause('primary', 1000);
    expect(await d.ratio()).toBe(1);
    await d.pause('secondary', 1000);
    // Another that was under way at the same time.
    await d.pause('secondary', 1000);
    expect(await d.ratio()).toBe(0.5);
    await d.redis.del(d.queue.toKey('limiter'));
    const granted = async () => {
      let count = 0;
      while ((await d.gates[0]?.()) === 0) count++;
      return count;
    };
    expect(await granted()).toBe(4);

    for (const expected of [0.25, 0.125, 0.1, 0.1]) {
      await d.pass(60_000);
      await d.pause('secondary', 1000);
      expect(await d.ratio()).toBe(expected);
    }
    for (const expected of [0.2, 0.4, 0.8, 1, 1]) {
      await d.pass(600_000);
      expect(await d.ratio()).toBeCloseTo(expected);
    }
    expect(await granted()).toBe(8);
  });
});

describe('a pause', () => {
  function openPause() {
    const log = createLogger('test', 'fatal');
    const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
    const key = `pause-${randomUUID()}`;
    const queue = { toKey: (name: string) => `{${key}}:${name}` };
    const pause = createPause(queue, redis);
    const limiter = queue.toKey('limiter');
    return {
      /** @param waitMs what GitHub says; undefined where it does not */
      set: (waitMs: number | undefined) => pause('primary', waitMs),
      left: () => redis.pttl(limiter),
      pace: (count: number, ms: number) => redis.set(limiter, count, 'PX', ms),
      end: () => redis.del(limiter),
      [Symbol.dispose]: () => redis.disconnect(),
    };
  }
  test('is only ever lengthened', async () => {
    using p = openPause();
    expect(await p.set(30_000)).toBe(30_000);
    // What is left of the longer one.
    expect(await p.set(10_000)).toSatisfy(about(30_000));
    expect(await p.left()).toSatisfy(about(30_000));
    expect(await p.set(50_000)).toBe(50_000);
    expect(await p.left()).toSatisfy(about(50_000));
  });

  test('takes the place of what the pace has counted', async () => {
    using p = openPause();
    await p.pace(3, 100_000);
    await p.set(30_000);
    expect(await p.left()).toSatisfy(about(30_000));
  });

  test('lasts a minute where GitHub does not say, and twice as long the next time', async () => {
    using p = openPause();
    await p.set(undefined);
    expect(await p.left()).toSatisfy(about(60_000));
    // For the others that were under way.
    await p.set(undefined);
    expect(await p.left()).toSatisfy(about(60_000));
    await p.end();
    await p.set(undefined);
    expect(await p.left()).toSatisfy(about(120_000));
    for (const _ of range(10)) {
      await p.end();
      await p.set(undefined);
    }
    expect(await p.left()).toSatisfy(about(3_600_000));
  });

  test('that GitHub gives no time for lasts its minute, also after a shorter one with a time', async () => {
    using p = openPause();
    await p.set(2000);
    await p.set(undefined);
    expect(await p.left()).toSatisfy(about(60_000));
  });

  test('of no time is none', async () => {
    using p = openPause();
    await p.set(0);
    expect(await p.left()).toBe(-2);
  });
});

async function sum(system: System, metric: string): Promise<number> {
  const values = await Promise.all(system.dispatchers.map(({ opsUrl }) => readMetric(opsUrl, metric)));
  return values.reduce((total, value) => total + value, 0);
}
