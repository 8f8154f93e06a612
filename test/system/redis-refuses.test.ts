import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type AppProcess, listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import type { ControllableRedis } from '@flux-dispatch/testbed/test-redis';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';

/** An event that is news. @param bytes of metadata that goes along */
function deployment(name: string, bytes = 0): Buffer {
  const revision = ociRevision('at23', `refuses ${name}`);
  const metadata = { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision };
  return fluxEvent({ metadata: bytes > 0 ? { ...metadata, filler: 'x'.repeat(bytes) } : metadata });
}

async function readyz(opsUrl: string): Promise<{ status: number; reason: string | undefined }> {
  const answer = await fetch(`${opsUrl}/readyz`);
  const { reason } = (await answer.json()) as { reason?: string };
  return { status: answer.status, reason };
}

const stack = new AsyncDisposableStack();
let credentials: Credentials;
let stub: RunningGitHubStub;

beforeAll(async () => {
  credentials = stack.use(await createCredentials());
  stub = stack.use(await startGitHubStub(credentials.stub));
});
afterAll(() => stack.disposeAsync());

test('ingest stops taking events before Redis is full, and the dispatcher empties it', async () => {
  const maxmemory = 12 * 1024 * 1024;
  const args = ['--maxmemory', `${maxmemory}`];
  await using redis = await acquireRedis({ path: inject('path'), controllable: true, args });
  await using system = await startSystem({
    ...{ redisUrl: redis.url, githubUrl: stub.url, credentials, dispatchers: 0 },
    env: { DISPATCH_RATE: 'off' },
  });
  const { eventsUrl, opsUrl, process } = system.ingests[0] ?? expect.fail();
  const accepted: string[] = [];
  const refused = await until('ingest refuses an event', async () => {
    const name = `full ${accepted.length}`;
    const { status, body } = await postEvent(eventsUrl, deployment(name, 40_000), credentials.token);
    if (status === 202) accepted.push(body.dispatch_id ?? '');
    return status === 202 ? false : { status, body };
  });
  expect(refused).toMatchObject({ status: 503, body: { outcome: 'queue_unavailable' } });
  expect(accepted.length).toBeGreaterThan(100);
  const warnings = () => process.log().filter(({ level }) => level === 'warn');
  expect(warnings()).toMatchObject([{ maxmemory, msg: expect.stringContaining('nearly full') }]);
  expect(process.log().at(-1)).toMatchObject({
    outcome: 'queue_unavailable',
    detail: expect.stringMatching(/nearly full .*maxmemory/),
  });
  // Redis itself takes writes, or nothing could be taken from the queue.
  expect(await readyz(opsUrl)).toMatchObject({ status: 200 });

  await system.startDispatcher();
  const arrived = () => stub.dispatches.map(({ client_payload }) => client_payload?.['dispatch_id']);
  await until('all that was accepted is at GitHub', () => accepted.every(id => arrived().includes(id)));

  const client = new Redis(redis.url);
  await client.config('SET', 'maxmemory', `${10 * maxmemory}`);
  client.disconnect();
  await until('ingest takes events again', async () => {
    const { status } = await postEvent(eventsUrl, deployment('room'), credentials.token);
    return status === 202;
  });
  expect(process.log()).toContainEqual(
    expect.objectContaining({ level: 'info', msg: expect.stringContaining('has room again') }),
  );
});

describe('a Redis that answers, and refuses writes', () => {
  const PREFIX = '{refuses}';

  interface Fault {
    readonly reason: RegExp;
    begin(client: Redis): Promise<unknown>;
    end(client: Redis): Promise<unknown>;
  }
  const FAULTS: Record<string, Fault> = {
    full: {
      reason: /OOM .*raise maxmemory/,
      begin: client => client.config('SET', 'maxmemory', '1'),
      end: client => client.config('SET', 'maxmemory', '0'),
    },
    'without replicas': {
      reason: /NOREPLICAS .*min-replicas-to-write/,
      begin: client => client.config('SET', 'min-replicas-to-write', '1'),
      end: client => client.config('SET', 'min-replicas-to-write', '0'),
    },
    'a replica': {
      reason: /READONLY .*primary/,
      begin: client => client.replicaof('127.0.0.1', '1'),
      end: client => client.replicaof('NO', 'ONE'),
    },
    'with an ACL': {
      reason: /ACL/,
      begin: client => client.acl('SETUSER', 'default', '-set', '-rpoplpush', '-zadd'),
      end: client => client.acl('SETUSER', 'default', '+@all'),
    },
    'a key of another type': {
      reason: /WRONGTYPE .*remove it/,
      begin: client => client.set(`${PREFIX}:dispatch:wait`, 'of another program'),
      end: client => client.del(`${PREFIX}:dispatch:wait`),
    },
    'a key of our own of another type': {
      reason: /WRONGTYPE .*:dispatch:limiter is a list, not a string.*remove it/,
      begin: async client => {
        await client.del(`${PREFIX}:dispatch:limiter`);
        return client.lpush(`${PREFIX}:dispatch:limiter`, 'of another program');
      },
      end: client => client.del(`${PREFIX}:dispatch:limiter`),
    },
  };

  let redis: ControllableRedis;
  let system: System;
  let processes: readonly { readonly process: AppProcess; readonly opsUrl: string }[];
  beforeAll(async () => {
    redis = stack.use(await acquireRedis({ path: inject('path'), controllable: true }));
    system = stack.use(
      await startSystem({
        ...{ redisUrl: redis.url, githubUrl: stub.url, credentials, prefix: PREFIX },
        env: { DISPATCH_RATE: 'off' },
      }),
    );
    processes = [...system.ingests, ...system.dispatchers, await system.startBoard()];
  });

  test.each(Object.entries(FAULTS))('%s: not ready, and it resumes on its own', async (name, fault) => {
    const client = new Redis(redis.url);
    try {
      await fault.begin(client);
      for (const { opsUrl } of processes) {
        const reason = await until('it is not ready', async () => {
          const ready = await readyz(opsUrl);
          return ready.status === 503 && ready.reason;
        });
        expect(reason).toMatch(/^Redis refuses writes: /);
        expect(reason).toMatch(fault.reason);
        expect((await fetch(`${opsUrl}/healthz`)).status).toBe(200);
      }
      await fault.end(client);
    } finally {
      client.disconnect();
    }
    for (const { opsUrl } of processes) {
      await until('it is ready', async () => (await readyz(opsUrl)).status === 200);
    }
    const { eventsUrl, process } = system.ingests[0] ?? expect.fail();
    const { body } = await until('ingest takes the event', async () => {
      const answer = await postEvent(eventsUrl, deployment(name), credentials.token);
      return answer.status === 202 && answer;
    });
    await until('it is at GitHub', () =>
      stub.dispatches.some(({ client_payload }) => client_payload?.['dispatch_id'] === body.dispatch_id),
    );
    // Ingest looks at Redis' memory twice a second: what it saw while Redis was full may outlive that by one look.
    const refused = process.log().filter(({ outcome }) => outcome === 'queue_unavailable');
    expect(refused.filter(({ detail }) => !/^Redis is nearly full/.test(`${detail}`))).toEqual([]);
  });

  test('the log of each process says so once, and once that it is over', async () => {
    const reasons = (process: AppProcess, level: string) =>
      process
        .log()
        .filter(line => line['level'] === level && /^Redis (refuses|takes) writes/.test(`${line['msg']}`))
        .map(({ reason }) => `${reason}`)
        .toSorted();
    for (const { process } of processes) {
      const begun = reasons(process, 'warn');
      for (const { reason } of Object.values(FAULTS)) {
        const [code = ''] = reason.source.split(' ');
        expect(begun).toContainEqual(expect.stringMatching(code === 'ACL' ? /NOPERM|ACL|The user/ : code));
      }
      expect(begun).toEqual([...new Set(begun)]);
      await until('all is over', () => reasons(process, 'info').length === begun.length, 40_000);
      expect(reasons(process, 'info')).toEqual(begun);
    }
  });

  test('a node of a Redis Cluster that does not serve our keys is not ready', async () => {
    const args = ['--cluster-enabled', 'yes'];
    await using redis = await acquireRedis({ path: inject('path'), controllable: true, args });
    const env = { REDIS_URL: redis.url, METRICS_ADDR: '127.0.0.1:0', LISTEN_ADDR: '127.0.0.1:0' };
    await using ingest = spawnApp('ingest', { ...env, HMAC_TOKEN_PATH: credentials.tokenPath });
    const { metrics_port: port } = await listening(ingest);
    await until('it says why', async () => {
      const { status, reason } = await readyz(`http://127.0.0.1:${port}`);
      expect(status).toBe(503);
      return /CLUSTERDOWN .*Redis Cluster/.test(reason ?? '');
    });
  });
});
