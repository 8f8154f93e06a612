import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Redis, type RedisOptions } from 'ioredis';
import { getContainerRuntimeClient } from 'testcontainers';
import {
  afterAll,
  beforeAll,
  describe,
  expect,
  inject,
  it,
  onTestFinished,
  type TestContext,
  vi,
} from 'vitest';
import { acquireRedis, firstPossible } from './redis.ts';
import type { ControllableRedis, TestRedis } from './test-redis.ts';

const path = inject('path');

// An image may have to be pulled first, or a package to be installed.
const ACQUIRE_TIMEOUT_MS = 300_000;

describe('the ways', () => {
  const WAYS = ['REDIS_URL', 'testcontainers', 'PATH', 'apt-get'] as const;

  it.each([
    { possible: ['REDIS_URL', 'testcontainers', 'PATH', 'apt-get'], tried: ['REDIS_URL'] },
    { possible: ['testcontainers', 'PATH', 'apt-get'], tried: ['REDIS_URL', 'testcontainers'] },
    { possible: ['PATH', 'apt-get'], tried: ['REDIS_URL', 'testcontainers', 'PATH'] },
    { possible: ['apt-get'], tried: ['REDIS_URL', 'testcontainers', 'PATH', 'apt-get'] },
  ])('up to the first that is possible of $possible', async ({ possible, tried }) => {
    const log: string[] = [];
    const attempts = WAYS.map(way => {
      const attempt = async () => {
        log.push(way);
        if (!possible.includes(way)) throw new Error('not possible');
        return way;
      };
      return [way, attempt] as const;
    });
    await expect(firstPossible(attempts)).resolves.toBe(possible[0]);
    expect(log).toEqual(tried);
  });

  it('of which none is possible are one error: what would make each possible, and why it was not', async () => {
    const attempts = WAYS.map(way => [way, () => Promise.reject(new Error(`no ${way}`))] as const);
    await expect(firstPossible(attempts)).rejects.toThrow(
      [
        'There is no Redis to use. Do one of these, none of which was possible:',
        '- set REDIS_URL to a Redis that runs: no REDIS_URL',
        '- start Docker, with the image redis:8-alpine or able to pull it: no testcontainers',
        '- put redis-server or valkey-server on the PATH: no PATH',
        '- be root on Debian or Ubuntu, and redis-server is installed with apt-get: no apt-get',
      ].join('\n'),
    );
  });

  it('that need a program are ruled out by an empty PATH', async () => {
    await expect(acquireRedis({ path: '', ways: ['PATH', 'apt-get'] })).rejects.toThrow(
      /it is not set\n.*the PATH has neither\n.*there is no apt-get on the PATH$/,
    );
  });
});

describe('REDIS_URL', () => {
  let running: TestRedis;
  beforeAll(async () => {
    running = await acquireRedis({ path });
  }, ACQUIRE_TIMEOUT_MS);
  afterAll(() => running[Symbol.asyncDispose]());

  it('is used as it is, and left alone when disposed', async () => {
    const given = await acquireRedis({ given: { REDIS_URL: running.url }, path });
    expect(given).toMatchObject({ url: running.url, origin: 'REDIS_URL' });
    expect(given.control).toBeUndefined();
    await given[Symbol.asyncDispose]();
    expect(await connectTo(running).ping()).toBe('PONG');
  });

  it('is not used for a Redis that gets killed', async () => {
    const options = { given: { REDIS_URL: running.url }, path, ways: [], controllable: true } as const;
    await expect(acquireRedis(options)).rejects.toThrow(
      'it is set, but one that can be killed is needed here',
    );
  });

  it.each([
    { redisUrl: 'redis://:secret@127.0.0.1:1', message: 'nothing listens on 127.0.0.1:1' },
    { redisUrl: 'localhost', message: 'REDIS_URL must be redis://host:6379' },
  ])('is an error where it does not work, not a reason to use another: $redisUrl', async options => {
    const acquired = acquireRedis({ given: { REDIS_URL: options.redisUrl }, path });
    await expect(acquired).rejects.toThrow(options.message);
    await expect(acquired).rejects.not.toThrow('secret');
  });
});

describe.each([
  { way: 'testcontainers', traceOf: containerOf, absent: /no Docker daemon answers|cannot be pulled/ },
  { way: 'PATH', traceOf: folderOf, absent: /the PATH has neither/ },
] as const)('a Redis from $way', ({ way, traceOf, absent }) => {
  const options = { path, ways: [way], controllable: true, appendfsync: 'always' } as const;
  let acquired: ControllableRedis | undefined;
  let missing = '';

  beforeAll(async () => {
    try {
      acquired = await acquireRedis(options);
    } catch (error) {
      missing = (error as Error).message;
      if (!absent.test(missing)) throw error;
    }
  }, ACQUIRE_TIMEOUT_MS);
  afterAll(() => acquired?.[Symbol.asyncDispose]());

  const orSkip = (context: TestContext) => acquired ?? context.skip(missing);

  it.for([
    ['maxmemory-policy', 'noeviction'],
    ['appendonly', 'yes'],
    ['appendfsync', 'always'],
    ['save', ''],
  ] as const)('has %s "%s"', async ([name, value], context) => {
    expect(await connectTo(orSkip(context)).config('GET', name)).toEqual([name, value]);
  });

  it('answers nothing while it is paused', async context => {
    const redis = orSkip(context);
    const impatient = connectTo(redis, { commandTimeout: 1000 });
    await impatient.ping();
    await redis.control.pause();
    await expect(impatient.ping()).rejects.toThrow('Command timed out');
    await redis.control.resume();
    expect(await connectTo(redis).ping()).toBe('PONG');
  });

  it('is back on the same port with what it had, once killed and started', async context => {
    const redis = orSkip(context);
    await connectTo(redis).set('kept', 'yes');
    await redis.control.kill();
    expect(await isGone(redis.url)).toBe(true);
    await redis.control.start();
    expect(await connectTo(redis).get('kept')).toBe('yes');
  });

  it('leaves nothing when disposed, not even while it is paused', async context => {
    orSkip(context);
    const redis = await acquireRedis(options);
    const leavesTrace = await traceOf(redis.url);
    expect(await leavesTrace()).toBe(true);
    await redis.control.pause();
    await redis[Symbol.asyncDispose]();
    expect(await leavesTrace()).toBe(false);
    expect(await isGone(redis.url)).toBe(true);
  });

  it('leaves nothing when the process that started it is killed with -9', async context => {
    orSkip(context);
    const { url, kill } = await acquireElsewhere(options);
    const leavesTrace = await traceOf(url);
    kill();
    await vi.waitUntil(async () => !(await leavesTrace()) && (await isGone(url)), { timeout: 60_000 });
  });
});

function connectTo({ url }: TestRedis, options: Pick<RedisOptions, 'commandTimeout'> = {}): Redis {
  const client = new Redis(url, options);
  // A test that kills the server is not to fail for a connection that breaks.
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

async function isGone(url: string): Promise<boolean> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: null });
  client.on('error', () => {});
  const gone = await client.connect().then(
    () => false,
    () => true,
  );
  client.disconnect();
  return gone;
}

/** Has another process acquire a Redis, which holds it until it is killed. */
async function acquireElsewhere(options: object): Promise<{ url: string; kill(): void }> {
  const program = `
    import { acquireRedis } from ${JSON.stringify(join(import.meta.dirname, 'redis.ts'))};
    const redis = await acquireRedis(${JSON.stringify(options)});
    process.stdout.write(redis.url);
    process.stdin.resume();
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [url] = await once(child.stdout, 'data');
  return { url: `${url}`, kill: () => child.kill('SIGKILL') };
}

async function folderOf(url: string): Promise<() => Promise<boolean>> {
  const client = new Redis(url);
  const [, folder = ''] = await client.config('GET', 'dir');
  client.disconnect();
  return async () => existsSync(folder);
}

async function containerOf(url: string): Promise<() => Promise<boolean>> {
  const client = await getContainerRuntimeClient();
  const port = Number(new URL(url).port);
  const containers = await client.container.list();
  const found = containers.find(container => container.Ports.some(({ PublicPort }) => PublicPort === port));
  return () =>
    client.container
      .getById(found?.Id ?? 'none')
      .inspect()
      .then(
        () => true,
        () => false,
      );
}
