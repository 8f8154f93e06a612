import { randomUUID } from 'node:crypto';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { connectWorker, parseRedisUrl } from '@flux-dispatch/queue/redis';
import { createLogger } from '@flux-dispatch/runtime/log';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';

// Machines differ and are noisy, so each figure is a ratio of two rates that were measured in this one run.

const print = (line: string) => process.stdout.write(`${line}\n`);
const redis = await acquireRedis({ redisUrl: process.env['REDIS_URL'], path: process.env['PATH'] });
const credentials = await createCredentials();

/** Does `count` things, `width` at a time, and returns how many a second. */
async function rateOf(count: number, width: number, work: (n: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return count / ((performance.now() - startedAt) / 1000);
}

function report(what: string, ratio: number, rates: string): void {
  print(`${ratio.toFixed(2).padStart(6)}  ${what} (${rates})`);
}

/** What the claim costs: enqueues with BullMQ's deduplication, over those without. */
async function claim(): Promise<void> {
  const location = parseRedisUrl(redis.url);
  if (!location) throw new Error('REDIS_URL cannot be read');
  const log = createLogger('bench', 'fatal');
  const connection = connectWorker({ REDIS_URL: location }, log);
  const queue = openDispatchQueue(connection, `{bench-${randomUUID()}}`, log);
  const data = { repo: 'Altinn/bench', event_type: 'flux-deploy', payload: { environment: '', reason: '' } };
  const add = (claimed: boolean) => {
    const dispatch = {
      ...data,
      dedup_id: randomUUID(),
      payload: { ...data.payload, dispatch_id: randomUUID() },
    };
    const { name, data: job, opts } = dispatchJob(dispatch as unknown as Dispatch);
    const { deduplication: _claim, ...plain } = opts;
    return queue.add(name, job, claimed ? opts : plain);
  };
  await rateOf(2000, 64, () => add(true));
  const without = await rateOf(10_000, 64, () => add(false));
  const withClaim = await rateOf(10_000, 64, () => add(true));
  report(
    'enqueue with its claim : without',
    withClaim / without,
    `${round(withClaim)} : ${round(without)} a second`,
  );
  await queue.obliterate({ force: true });
  connection.disconnect();
}

/** The commonest event by far is a repeat: it must not cost more than a new one. */
async function repeats(): Promise<void> {
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl: redis.url, githubUrl: stub.url, credentials },
    env: { DISPATCH_RATE: 'off' },
  });
  const url = system.ingests[0]?.eventsUrl ?? '';
  const send = (n: number | string) => postEvent(url, deployment(n), credentials.token);
  await send('repeated');
  await until('it is delivered', () => stub.dispatches.length === 1);
  await rateOf(500, 16, n => send(`warm-up ${n}`));
  const fresh = await rateOf(3000, 16, n => send(n));
  await until('all are delivered', () => stub.received >= 3501, 60_000);
  const repeated = await rateOf(3000, 16, () => send('repeated'));
  report(
    'repeats : new events, at one ingest',
    repeated / fresh,
    `${round(repeated)} : ${round(fresh)} a second`,
  );
}

/** GitHub is slow: concurrency has to make up for it. */
async function concurrency(): Promise<void> {
  const drain = async (width: number, count: number) => {
    await using stub = await startGitHubStub(credentials.stub);
    stub.setFaults([{ match: { method: 'POST' }, action: { latencyMs: 50 } }]);
    const env = { DISPATCH_RATE: 'off', DISPATCH_CONCURRENCY: String(width) };
    await using system = await startSystem({ redisUrl: redis.url, githubUrl: stub.url, credentials, env });
    const url = system.ingests[0]?.eventsUrl ?? '';
    const startedAt = performance.now();
    await rateOf(count, 16, n => postEvent(url, deployment(`${width} ${n}`), credentials.token));
    await until('all are delivered', () => stub.received === count, 120_000);
    return count / ((performance.now() - startedAt) / 1000);
  };
  const [one, sixteen] = [await drain(1, 50), await drain(16, 800)];
  report(
    'dispatches at concurrency 16 : 1, GitHub taking 50 ms',
    sixteen / one,
    `${round(sixteen)} : ${round(one)} a second`,
  );
}

function deployment(n: number | string): Buffer {
  const revision = ociRevision('at23', `bench ${n}`);
  return fluxEvent({
    name: `bench-${n}`,
    metadata: { dispatch_repo: 'Altinn/bench', env: 'at23', revision },
  });
}

const round = (rate: number) => Math.round(rate).toLocaleString('en');

print(`Ratios of rates measured in one run, Redis from ${redis.origin}\n`);
await claim();
await repeats();
await concurrency();
await credentials[Symbol.asyncDispose]();
await redis[Symbol.asyncDispose]();
process.exit(0);
