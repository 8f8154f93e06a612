import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { type BenchContext, print, rateOf, report, round } from './measure.ts';

const ROUNDS = 3;

/**
 * Many unchanged objects that report in rounds, as Flux does at every interval. Nothing is dispatched after the first round,
 * and neither what an event costs nor what Redis holds grows.
 */
export async function measureObjects(
  { redisUrl, credentials }: BenchContext,
  objects: number,
): Promise<void> {
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl, githubUrl: stub.url, credentials },
    // A dry run settles like a delivery. More objects than are remembered, but for DEDUP_KEEP.
    env: { DRY_RUN: 'true', DISPATCH_CONCURRENCY: '64', DEDUP_MAX_ENTRIES: `${Math.ceil(objects / 2)}` },
  });
  const [ingest] = system.ingests;
  const [dispatcher] = system.dispatchers;
  if (!ingest || !dispatcher) throw new Error('A system has one of each');
  const redis = new Redis(redisUrl);
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]);
  const cpu = () => readMetric(ingest.opsUrl, 'process_cpu_seconds_total');
  const dispatched = () => readMetric(dispatcher.opsUrl, 'flux_dispatch_dryrun_dispatches_total');

  const before = await usedBytes();
  const micros: number[] = [];
  for (let turn = 1; turn <= ROUNDS; turn++) {
    const [cpuBefore, dispatchedBefore] = [await cpu(), await dispatched()];
    const rate = await rateOf(objects, 32, n =>
      postEvent(ingest.eventsUrl, eventOf(n, turn), credentials.token),
    );
    if (turn === 1) {
      await until('all are dispatched', async () => (await dispatched()) === objects, 600_000);
    }
    const spent = ((await cpu()) - cpuBefore) * 1e6;
    micros.push(spent / objects);
    const kilobytes = ((await usedBytes()) - before) / objects / 1000;
    const news = (await dispatched()) - dispatchedBefore;
    print(
      `        round ${turn}: ${round(objects)} objects, ${news} dispatches, ${round(rate)} events a second, ` +
        `${(spent / objects).toFixed(0)} µs of ingest an event, ${kilobytes.toFixed(2)} kB of Redis an object`,
    );
  }
  redis.disconnect();
  const [, second = Number.NaN, third = Number.NaN] = micros;
  report(
    `an event of ${round(objects)} unchanged objects in the third round : in the second, processor time of ingest`,
    third / second,
    `${third.toFixed(0)} : ${second.toFixed(0)} µs`,
  );
}

function eventOf(n: number, turn: number): Buffer {
  return fluxEvent({
    name: `object-${n}`,
    message: `Reconciliation finished in ${turn}s, next run in 10m0s`,
    metadata: { dispatch_repo: 'Altinn/bench', env: 'at23', revision: ociRevision('at23', `object ${n}`) },
  });
}
