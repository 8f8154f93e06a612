import { randomUUID } from 'node:crypto';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { type BenchContext, rateOf, report, round } from './measure.ts';

/** What the claim costs: the rate of enqueues with BullMQ's deduplication, over the rate without. */
export async function measureClaim({ redisUrl }: BenchContext): Promise<void> {
  const location = parseRedisUrl(redisUrl);
  if (!location) throw new Error('REDIS_URL cannot be parsed');
  const log = createLogger('bench', 'fatal');
  const connection = connectPatient({ REDIS_URL: location }, log);
  const queue = openDispatchQueue(connection, `{bench-${randomUUID()}}`, log);
  const data = { repo: 'Altinn/bench', event_type: 'flux-deploy', payload: { environment: '', reason: '' } };
  const add = (claimed: boolean) => {
    const dispatch = {
      ...data,
      dedup_id: randomUUID(),
      payload: { ...data.payload, dispatch_id: randomUUID() },
    };
    const { name, data: job, opts } = dispatchJob(dispatch as unknown as Dispatch, { priority: 1 });
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

/** Most events are repeats, so a repeat must not cost more than a new event. */
export async function measureRepeats({ redisUrl, credentials }: BenchContext): Promise<void> {
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl, githubUrl: stub.url, credentials },
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

/** GitHub is slow; concurrency should make up for it. */
export async function measureConcurrency({ redisUrl, credentials }: BenchContext): Promise<void> {
  const drain = async (width: number, count: number) => {
    await using stub = await startGitHubStub(credentials.stub);
    stub.setFaults([{ match: { method: 'POST' }, action: { latencyMs: 50 } }]);
    const env = { DISPATCH_RATE: 'off', DISPATCH_CONCURRENCY: String(width) };
    await using system = await startSystem({ redisUrl, githubUrl: stub.url, credentials, env });
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
