import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type App, listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, inject, test } from 'vitest';
import { openQueues } from '../support/queues.ts';
import { UNHURRIED } from '../support/unhurried.ts';

function deployment(n: number | string): Buffer {
  const revision = ociRevision('at23', `lifecycle ${n}`);
  return fluxEvent({ metadata: { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision } });
}

test.each<App>(['ingest', 'dispatcher', 'board'])(
  '%s never uses another database than its own',
  async app => {
    const env = { ALLOW_UNSIGNED: 'true', DRY_RUN: 'true', BOARD_AUTH: 'none', BOARD_ADDR: '127.0.0.1:0' };
    const prefix = `{other-${randomUUID()}}`;
    await using process = spawnApp(app, {
      ...{ ...env, METRICS_ADDR: '127.0.0.1:0', LISTEN_ADDR: '127.0.0.1:0' },
      ...{ REDIS_URL: new URL('/99', inject('redisUrl')).href, QUEUE_PREFIX: prefix },
    });
    const { metrics_port: port } = await listening(process);
    const reason = expect.stringMatching(/^No connection to Redis: Redis at \S+ has no database 99$/);
    await until('it says why it is not ready', async () => {
      const probe = await fetch(`http://127.0.0.1:${port}/readyz`);
      expect(probe.status).toBe(503);
      const { reason } = (await probe.json()) as { reason: string };
      return reason.includes('database');
    });
    expect(await (await fetch(`http://127.0.0.1:${port}/readyz`)).json()).toMatchObject({ reason });
    // It is on each attempt to connect that ioredis would go on with database 0.
    const reasons = () => process.log().filter(({ level }) => level === 'warn');
    expect(reasons().map(({ reason }) => reason)).toContainEqual(expect.stringContaining('database 99'));
    using queues = openQueues(inject('redisUrl'), prefix);
    expect(await queues.redis.keys(`${prefix}:*`)).toEqual([]);
  },
);

describe('Redis', () => {
  test('away at start: the processes are alive, say why they are not ready, and become ready when it comes', async () => {
    await using redis = await acquireRedis({ path: inject('path'), controllable: true });
    await redis.control.kill();
    await using credentials = await createCredentials();
    await using stub = await startGitHubStub(credentials.stub);
    const common = { ...UNHURRIED, REDIS_URL: redis.url, METRICS_ADDR: '127.0.0.1:0' };
    await using ingest = spawnApp('ingest', {
      ...common,
      LISTEN_ADDR: '127.0.0.1:0',
      HMAC_TOKEN_PATH: credentials.tokenPath,
    });
    await using dispatcher = spawnApp('dispatcher', {
      ...common,
      GITHUB_APP_ID: credentials.appId,
      GITHUB_PRIVATE_KEY_PATH: credentials.privateKeyPath,
      GITHUB_API_URL: stub.url,
    });
    const ports = { ...(await listening(dispatcher)), ...(await listening(ingest)) };
    const dispatcherPort = (await listening(dispatcher))['metrics_port'];
    const eventsUrl = `http://127.0.0.1:${ports['events_port']}/flux-events`;
    const probes = [ports['metrics_port'], ports['events_port'], dispatcherPort].map(
      port => `http://127.0.0.1:${port}`,
    );
    for (const probe of probes) {
      expect((await fetch(`${probe}/healthz`)).status).toBe(200);
      const ready = await fetch(`${probe}/readyz`);
      expect([ready.status, await ready.json()]).toEqual([
        503,
        { status: 'unavailable', reason: expect.stringMatching(/Redis/) },
      ]);
    }
    const refused = await postEvent(eventsUrl, deployment('early'), credentials.token);
    expect(refused).toMatchObject({ status: 503, body: { outcome: 'queue_unavailable' } });
    expect(refused.headers.has('retry-after')).toBe(false);

    await redis.control.start();
    for (const probe of probes) await until('ready', async () => (await fetch(`${probe}/readyz`)).ok);
    expect(await postEvent(eventsUrl, deployment('early'), credentials.token)).toMatchObject({ status: 202 });
    await until('it is at GitHub', () => stub.dispatches.length === 1);
  });

  test('standing still: 503 within QUEUE_TIMEOUT, then at once, and 202 again when it goes on', async () => {
    await using redis = await acquireRedis({ path: inject('path'), controllable: true });
    await using credentials = await createCredentials();
    await using stub = await startGitHubStub(credentials.stub);
    await using system = await startSystem({
      ...{ redisUrl: redis.url, githubUrl: stub.url, credentials },
      env: { QUEUE_TIMEOUT: '500ms' },
    });
    const { process, eventsUrl, opsUrl } = system.ingests[0] ?? expect.fail();
    await redis.control.pause();

    const late = await postEvent(eventsUrl, deployment(1), credentials.token);
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, null]);
    await until('Redis is known to be away', async () => {
      const refused = await postEvent(eventsUrl, deployment(2), credentials.token);
      expect(refused.status).toBe(503);
      return /^No connection to Redis/.test(
        String(process.log().findLast(({ msg }) => msg === 'Event')?.['detail']),
      );
    });
    expect((await fetch(`${opsUrl}/readyz`)).status).toBe(503);
    expect((await fetch(`${opsUrl}/metrics`)).status).toBe(200);

    await redis.control.resume();
    await until('ready', async () => (await fetch(`${opsUrl}/readyz`)).ok);
    // What timed out may have been queued all the same. The next try is then a duplicate: it is queued once in any case.
    for (const n of [1, 2]) {
      // Half a second may still be too little on a busy machine. Then Flux sends it again.
      await until(`${n} is taken`, async () => {
        const { status } = await postEvent(eventsUrl, deployment(n), credentials.token);
        expect([200, 202, 503]).toContain(status);
        return status !== 503;
      });
    }
    await until('both are at GitHub', () => stub.dispatches.length === 2);
  });
});

// One of these waits for 10 s.
describe.concurrent('SIGTERM', () => {
  test('of ingest under load: requests under way are answered, and what was accepted is dispatched', async () => {
    await using credentials = await createCredentials();
    await using stub = await startGitHubStub(credentials.stub);
    await using system = await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials },
      env: UNHURRIED,
    });
    const { eventsUrl, process } = system.ingests[0] ?? fail();
    const accepted: number[] = [];
    let refused = 0;
    const load = Array.from({ length: 200 }, async (_, n) => {
      try {
        const { status } = await postEvent(eventsUrl, deployment(`load ${n}`), credentials.token);
        expect(status).toBe(202);
        if (accepted.push(n) === 20) process.signal('SIGTERM');
      } catch (error) {
        // Refused or reset before a byte of an answer: Flux sends it again, to another replica.
        expect((error as Error).message).toBe('fetch failed');
        refused++;
      }
    });
    await Promise.all(load);
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(accepted.length + refused).toBe(200);
    await until('all that was accepted is at GitHub', () => stub.dispatches.length >= accepted.length);
    expect(process.log().at(-1)).toMatchObject({ msg: 'Stopped' });
  });

  test.each<App>(['ingest', 'dispatcher'])('of %s while Redis is away: exit 0', async app => {
    const env = { ALLOW_UNSIGNED: 'true', DRY_RUN: 'true', REDIS_URL: 'redis://127.0.0.1:1' };
    await using process = spawnApp(app, { ...env, METRICS_ADDR: '127.0.0.1:0', LISTEN_ADDR: '127.0.0.1:0' });
    await listening(process);
    process.signal('SIGTERM');
    expect(await process.exited).toEqual({ code: 0, signal: null });
  });

  // Its connections stay open and answer nothing, so that only time shows that it is away.
  test.each<App>(['ingest', 'dispatcher'])(
    'of %s while Redis hangs: exit 0 within SHUTDOWN_TIMEOUT',
    async app => {
      await using redis = await acquireRedis({ path: inject('path'), controllable: true });
      const env = { ALLOW_UNSIGNED: 'true', DRY_RUN: 'true', REDIS_URL: redis.url, SHUTDOWN_TIMEOUT: '1m' };
      await using process = spawnApp(app, {
        ...env,
        METRICS_ADDR: '127.0.0.1:0',
        LISTEN_ADDR: '127.0.0.1:0',
      });
      const { metrics_port: port } = await listening(process);
      await until('ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
      await redis.control.pause();
      process.signal('SIGTERM');
      expect(await process.exited).toEqual({ code: 0, signal: null });
      expect(process.log().at(-1)).toMatchObject({ msg: 'Stopped' });
    },
  );

  test('a second SIGTERM exits at once', async () => {
    await using held = await ingestWithHeldRequest({});
    held.process.signal('SIGTERM');
    await until('it is stopping', () => held.process.log().some(({ signal }) => signal === 'SIGTERM'));
    held.process.signal('SIGTERM');
    expect(await held.process.exited).toEqual({ code: 143, signal: null });
  });

  test('what is not done within SHUTDOWN_TIMEOUT is cut off, with exit 1 and a line that says so', async () => {
    await using held = await ingestWithHeldRequest({ SHUTDOWN_TIMEOUT: '100ms' });
    held.process.signal('SIGTERM');
    expect(await held.process.exited).toEqual({ code: 1, signal: null });
    expect(held.process.log().at(-1)).toMatchObject({
      level: 'error',
      msg: expect.stringMatching(/SHUTDOWN_TIMEOUT/),
    });
  });
});

/** An ingest that has begun to read a request which does not come to its end. */
async function ingestWithHeldRequest(env: Record<string, string>) {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const process = stack.use(
    spawnApp('ingest', {
      REDIS_URL: inject('redisUrl'),
      METRICS_ADDR: '127.0.0.1:0',
      LISTEN_ADDR: '127.0.0.1:0',
      HMAC_TOKEN_PATH: credentials.tokenPath,
      ...env,
    }),
  );
  const { events_port: port, metrics_port: opsPort } = await listening(process);
  const socket = stack.adopt(connect(Number(port), '127.0.0.1'), socket => void socket.destroy());
  socket.on('error', () => undefined);
  socket.write(
    'POST /flux-events HTTP/1.1\r\nHost: ingest\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n{',
  );
  await new Promise(resolve => socket.once('data', resolve));
  const held = stack.move();
  return { process, opsPort, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

describe('wrong configuration', () => {
  const good = {
    METRICS_ADDR: '127.0.0.1:0',
    LISTEN_ADDR: '127.0.0.1:0',
    ALLOW_UNSIGNED: 'true',
    DRY_RUN: 'true',
  };
  test.each<[App, Record<string, string>, variables: string[]]>([
    ['ingest', { ALLOW_UNSIGNED: '' }, ['HMAC_TOKEN_PATH']],
    ['ingest', { HMAC_TOKEN_PATH: '/does/not/exist' }, ['HMAC_TOKEN_PATH']],
    ['ingest', { REJECT_STATUS: '500' }, ['REJECT_STATUS']],
    ['ingest', { DEDUP_TTL: '1 day' }, ['DEDUP_TTL']],
    ['ingest', { LISTEN_ADDR: '8080' }, ['LISTEN_ADDR']],
    ['ingest', { REDIS_URL: 'http://user:secret@redis' }, ['REDIS_URL']],
    ['ingest', { ALLOWED_OWNERS: 'Altinn,not an owner' }, ['ALLOWED_OWNERS']],
    ['ingest', { SUCCESS_REASONS: 'UpgradeFailed' }, ['SUCCESS_REASONS']],
    ['ingest', { MAX_BODY_BYTES: '1MB', QUEUE_TIMEOUT: '2' }, ['MAX_BODY_BYTES', 'QUEUE_TIMEOUT']],
    ['dispatcher', { DRY_RUN: '' }, ['GITHUB_APP_ID', 'GITHUB_PRIVATE_KEY_PATH']],
    ['dispatcher', { GITHUB_PRIVATE_KEY_PATH: '/dev/null' }, ['GITHUB_PRIVATE_KEY_PATH']],
    ['dispatcher', { DISPATCH_RATE: 'fast', LOG_LEVEL: 'loud' }, ['LOG_LEVEL', 'DISPATCH_RATE']],
    ['ingest', { DEDPU_TTL: '1h', redis_url: 'redis://redis' }, ['DEDPU_TTL', 'redis_url']],
    ['board', { BOARD_AUTH: 'none', BOARD_ADDR: '127.0.0.1:0', BORAD_READ_ONLY: '1' }, ['BORAD_READ_ONLY']],
  ])('%s with %o names %j, and exits with 1 before it listens', async (app, env, variables) => {
    await using process = spawnApp(app, { ...good, ...env });
    expect(await process.exited).toEqual({ code: 1, signal: null });
    expect(
      process
        .log()
        .map(({ variable }) => variable)
        .sort(),
    ).toEqual(variables.toSorted());
    for (const line of process.log()) {
      const { msg, variable, level } = line;
      expect(level).toBe('fatal');
      expect(msg).toContain(variable);
      expect(line).toMatchObject({ name: 'flux-dispatch', version: expect.any(String), revision: 'unknown' });
    }
    expect(process.stdout.join()).not.toMatch(/secret|\.ts:\d+/);
    expect(process.stderr).toEqual([]);
  });

  test('an address that is already in use is named, with exit 1', async () => {
    await using first = spawnApp('ingest', { ...good, REDIS_URL: inject('redisUrl') });
    const { events_port: port } = await listening(first);
    const taken = { ...good, REDIS_URL: inject('redisUrl'), LISTEN_ADDR: `127.0.0.1:${port}` };
    await using second = spawnApp('ingest', taken);
    expect(await second.exited).toEqual({ code: 1, signal: null });
    expect(second.log().at(-1)).toMatchObject({
      level: 'fatal',
      reason: expect.stringContaining(`${port}`),
      msg: `Port ${port} is already in use: stop the other process or set LISTEN_ADDR`,
    });
  });
});

function fail(): never {
  throw new Error('A system has at least one ingest');
}
