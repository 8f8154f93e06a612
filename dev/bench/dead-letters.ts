import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { launchBrowser } from '@flux-dispatch/testbed/browser';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import type { Browser } from 'playwright-core';
import { type BenchContext, rateOf, report, timeOf } from './measure.ts';

const FEW = 10;
const MANY = 10_000;
const REPOSITORIES = 100;
const VISITS = 9;

/** The request of the board's page of dead letters: when it opens, and every few seconds after that. */
const PAGE = '/api/queues?activeQueue=dispatch-dead-letter&status=failed&page=1&jobsPerPage=10';

/**
 * The board and the metrics with thousands of dead letters, as after a night in which GitHub refused everything. The
 * board's page should open within a second and a scrape take less than 50 ms, so these report their times as well.
 */
export async function measureDeadLetters({ redisUrl, credentials, path }: BenchContext): Promise<void> {
  await using stub = await startGitHubStub(credentials.stub);
  stub.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: { status: 404 } }]);
  const env = { DISPATCH_RATE: 'off' };
  await using system = await startSystem({ redisUrl, githubUrl: stub.url, credentials, env });
  const board = await system.startBoard();
  const eventsUrl = system.ingests[0]?.eventsUrl ?? '';
  const opsUrl = system.dispatchers[0]?.opsUrl ?? '';

  let dead = 0;
  const growTo = async (count: number) => {
    await rateOf(count - dead, 16, n =>
      postEvent(eventsUrl, undeliverableEvent(dead + n), credentials.token),
    );
    dead = count;
    const parked = { queue: 'dispatch-dead-letter', state: 'failed' };
    const allParked = async () => (await readMetric(opsUrl, 'flux_dispatch_queue_jobs', parked)) === count;
    await until(`there are ${count} dead letters`, allParked, 300_000);
  };
  await using stack = new AsyncDisposableStack();
  const browser = await launchBrowser(path);
  if (browser) stack.defer(() => browser.close());
  /** Opens the board in browsers without a cache, each until an entry is visible. */
  const visits = async (of: Browser) => {
    const visitors = await Promise.all(Array.from({ length: VISITS }, () => of.newContext()));
    const pages = await Promise.all(visitors.map(visitor => visitor.newPage()));
    const times = await timeOf(VISITS, async n => {
      await pages[n]?.goto(`${board.url}/queue/dispatch-dead-letter?status=failed`);
      await pages[n]
        ?.getByText(/^Altinn\/bench-/)
        .first()
        .waitFor();
      // The page would keep polling.
      await pages[n]?.close();
    });
    await Promise.all(visitors.map(visitor => visitor.close()));
    return times;
  };
  const measure = async () => ({
    page: await timeOf(100, () => textOf(board.url + PAGE)),
    scrape: await timeOf(100, () => textOf(`${opsUrl}/metrics`)),
    ...(browser && { browser: await visits(browser) }),
  });

  await growTo(FEW);
  await measure();
  const few = await measure();
  await growTo(MANY);
  const many = await measure();
  for (const [what, key] of [
    ["what the board's page asks for", 'page'],
    ['the board, opened for the first time in a browser,', 'browser'],
    ['a scrape of dispatcher', 'scrape'],
  ] as const) {
    const [a, b] = [many[key], few[key]];
    if (!a || !b) continue;
    report(
      `${what} with ${MANY.toLocaleString('en')} dead letters : with ${FEW}`,
      a.median / b.median,
      `${a.median.toFixed(1)} : ${b.median.toFixed(1)} ms; the longest took ${a.longest.toFixed(1)} ms`,
    );
  }
}

async function textOf(url: string): Promise<string> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  return answer.text();
}

function undeliverableEvent(n: number): Buffer {
  return fluxEvent({
    name: `bench-${n}`,
    metadata: {
      dispatch_repo: `Altinn/bench-${n % REPOSITORIES}`,
      env: 'at23',
      revision: ociRevision('at23', `bench ${n}`),
    },
  });
}
