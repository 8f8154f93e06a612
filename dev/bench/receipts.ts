import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { type BenchContext, rateOf, report, round } from './measure.ts';

const REPOSITORIES = 20;
const DISPATCHES = 1500;
const ROUNDS = 3;

interface Measured {
  /** Dispatches a second. */
  readonly rate: number;
  /** Processor time of the dispatcher for each dispatch, in microseconds. */
  readonly cpu: number;
  /** From ingest to GitHub on average, in milliseconds. */
  readonly endToEnd: number;
}

/**
 * What receipts cost dispatches: the same backlog with and without them, at a GitHub that takes 100 ms, and at one that takes no
 * time at all, where only the processor counts. By turns, as a machine gets slower and faster.
 */
export async function measureReceipts(context: BenchContext): Promise<void> {
  for (const [what, latencyMs] of [
    ['GitHub taking 100 ms', 100],
    ['GitHub taking no time', 0],
  ] as const) {
    const measured: { auto: Measured[]; off: Measured[] } = { auto: [], off: [] };
    for (let n = 0; n < ROUNDS; n++) {
      for (const receipts of ['auto', 'off'] as const) {
        measured[receipts].push(await drain(context, receipts, latencyMs));
      }
    }
    const [on, off] = [median(measured.auto), median(measured.off)];
    report(
      `dispatches with receipts : without, ${what}`,
      on.rate / off.rate,
      `${round(on.rate)} : ${round(off.rate)} a second; ${round(on.cpu)} : ${round(off.cpu)} µs of processor time each`,
    );
    report(
      `the same, time from ingest to GitHub`,
      on.endToEnd / off.endToEnd,
      `${round(on.endToEnd)} : ${round(off.endToEnd)} ms on average`,
    );
  }
}

async function drain(
  { redisUrl, credentials }: BenchContext,
  receipts: string,
  latencyMs: number,
): Promise<Measured> {
  await using github: RunningGitHubStub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl, githubUrl: github.url, credentials },
    env: { DISPATCH_RATE: 'off', RUN_RECEIPTS: receipts },
  });
  const eventsUrl = system.ingests[0]?.eventsUrl ?? '';
  const opsUrl = system.dispatchers[0]?.opsUrl ?? '';
  const post = (n: number) => {
    const dispatch_repo = `Altinn/bench-${n % REPOSITORIES}`;
    const metadata = { dispatch_repo, env: 'at23', revision: ociRevision('at23', `bench ${n}`) };
    return postEvent(eventsUrl, fluxEvent({ name: `bench-${n}`, metadata }), credentials.token);
  };
  const cpu = () => readMetric(opsUrl, 'process_cpu_seconds_total');
  await rateOf(100, 16, n => post(-1 - n));
  await until('it is warm', () => github.received === 100);

  if (latencyMs > 0)
    github.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: { latencyMs } }]);
  const [before, sum, count] = [
    await cpu(),
    await readMetric(opsUrl, `${E2E}_sum`),
    await readMetric(opsUrl, `${E2E}_count`),
  ];
  const startedAt = performance.now();
  await rateOf(DISPATCHES, 16, post);
  await until('all are delivered', () => github.received === DISPATCHES + 100, 120_000);
  const seconds = (performance.now() - startedAt) / 1000;
  const took = (await readMetric(opsUrl, `${E2E}_sum`)) - sum;
  const delivered = (await readMetric(opsUrl, `${E2E}_count`)) - count;
  return {
    rate: DISPATCHES / seconds,
    cpu: (((await cpu()) - before) / DISPATCHES) * 1e6,
    endToEnd: (took / delivered) * 1000,
  };
}

const E2E = 'flux_dispatch_end_to_end_seconds';

function median(all: readonly Measured[]): Measured {
  const of = (key: keyof Measured) => {
    const values = all.map(each => each[key]).sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)] ?? Number.NaN;
  };
  return { rate: of('rate'), cpu: of('cpu'), endToEnd: of('endToEnd') };
}
