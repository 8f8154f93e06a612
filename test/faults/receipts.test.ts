import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { openReceiptQueue, type Receipt } from '@flux-dispatch/queue/receipt';
import { createLogger } from '@flux-dispatch/runtime/log';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { startRecordingProxy } from '@flux-dispatch/testbed/recording-proxy';
import { type Dispatcher, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import type { Queue } from 'bullmq';
import { expect, inject, test } from 'vitest';
import { openQueues } from '../support/queues.ts';
import { workflowFile } from '../support/workflow.ts';

const MINUTES = 60_000;
const DISPATCHES = 500;
const REPOSITORIES = 20;

/** Whether the workflows of a repository put the dispatch id into the title of their runs. */
const namesRuns = (n: number) => n % 2 === 0;
/** How many workflows of a repository listen. */
const workflowsOf = (n: number) => (n % 5 === 0 ? 2 : 1);

function filesOf(n: number): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: workflowsOf(n) }, (_, index) => [
      `.github/workflows/e2e-${index}.yaml`,
      workflowFile(['flux-deploy'], { name: `E2E ${index}`, namesDispatch: namesRuns(n) }),
    ]),
  );
}

/** Two dispatchers and a GitHub whose runs start after up to 90 s, with the default pace and the default times of receipts. */
async function startCrowd() {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const github = stack.use(await startGitHubStub(credentials.stub));
  github.app.silent = true;
  github.setActions({
    runs: {
      delayMs: [0, 90_000],
      durationMs: [0, 60_000],
      conclusion: ['success', 'failure', 'cancelled', 'success', 'timed_out'],
      seed: 11,
    },
    repositories: Object.fromEntries(
      Array.from({ length: REPOSITORIES }, (_, n) => [`Altinn/product-${n}`, { files: filesOf(n) }]),
    ),
  });
  const proxy = stack.use(await startRecordingProxy(github.url));
  const system = stack.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: proxy.url, credentials, dispatchers: 2 },
      env: { QUEUE_TIMEOUT: '60s' },
    }),
  );
  const queues = stack.use(openQueues(inject('redisUrl'), system.prefix));
  const receipts = openReceiptQueue(queues.redis, system.prefix, createLogger('test', 'fatal'));
  const started = stack.move();
  return {
    ...{ github, proxy, system, queues, receipts },
    async deployAll(): Promise<string[]> {
      const ids: string[] = [];
      for (let n = 0; n < DISPATCHES; n++) {
        const metadata = {
          ...{ dispatch_repo: `Altinn/product-${n % REPOSITORIES}`, env: 'at23' },
          revision: ociRevision('at23', `${n}`),
        };
        const event = fluxEvent({ name: `app-${n}`, metadata });
        const { body } = await postEvent(system.ingests[0]?.eventsUrl ?? '', event, credentials.token);
        ids.push(body.dispatch_id ?? '');
      }
      return ids;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

async function allConcluded(
  github: RunningGitHubStub,
  receipts: Queue<Receipt>,
): Promise<Map<string, Receipt>> {
  await until(
    'all receipts have ended',
    async () =>
      github.received >= DISPATCHES && (await receipts.getJobCountByTypes('wait', 'active', 'delayed')) === 0,
    20 * MINUTES,
  );
  const ended = await receipts.getJobs(['completed', 'failed'], 0, -1);
  return new Map(ended.map(({ data }) => [data.dispatch_id, data]));
}

/** Compares what was found with the runs that GitHub has started. */
function expectOwnRuns(
  github: RunningGitHubStub,
  ended: ReadonlyMap<string, Receipt>,
): { guessed: number; right: number } {
  const started = Map.groupBy(github.runs, ({ dispatch_id }) => dispatch_id);
  const byId = new Map(github.runs.map(run => [run.id, run]));
  const claimed = new Set<number>();
  let [guessed, right] = [0, 0];
  for (const [id, receipt] of ended) {
    const isNamed = namesRuns(Number(receipt.repo.split('-')[1]));
    if (isNamed) {
      expect(receipt.runs.map(run => run.id).sort(), id).toEqual(
        (started.get(id) ?? []).map(run => run.id).sort(),
      );
    }
    for (const run of receipt.runs) {
      expect(run.match).toBe(isNamed ? 'exact' : 'probable');
      expect(run.conclusion).toBe(byId.get(run.id)?.conclusion);
      expect(claimed.has(run.id), `run ${run.id} is claimed twice`).toBe(false);
      claimed.add(run.id);
      if (isNamed) continue;
      guessed++;
      if (byId.get(run.id)?.dispatch_id === id) right++;
    }
  }
  return { guessed, right };
}

test('500 dispatches to 20 repositories: every run is found, in one list for all of a repository', {
  timeout: 30 * MINUTES,
}, async ({ task }) => {
  await using crowd = await startCrowd();
  const { github, proxy, receipts } = crowd;
  const startedAt = Date.now();
  const ids = await crowd.deployAll();
  const ended = await allConcluded(github, receipts);
  expect([...ended.keys()].sort()).toEqual([...ids].sort());
  const { guessed, right } = expectOwnRuns(github, ended);

  const listings = proxy.requests.filter(({ path }) => /\/actions\/runs\?.*page=1(&|$)/.test(path));
  for (const [repo, own] of Map.groupBy(listings, ({ path }) => path.split('/')[3])) {
    const gaps = own.slice(1).map(({ at }, index) => at - (own[index]?.at ?? 0));
    // By two clocks: that of Redis, which decides, and that of the proxy.
    expect(Math.min(...gaps), `between two lists of ${repo}`).toBeGreaterThan(9000);
  }
  const minutes = (Date.now() - startedAt) / MINUTES;
  const free = [...github.requests].reduce(
    (sum, [call, n]) => sum + (/\/actions\/runs 304$/.test(call) ? n : 0),
    0,
  );
  task.meta.notes = [
    `${listings.length} lists of runs in ${minutes.toFixed(1)} min, ${free} of them unchanged (304)`,
    `${guessed} runs without an id in their title, ${right} of them given to the dispatch that started them`,
  ];
});

test('dispatchers killed 20 times: nothing is lost, and each dispatch has its receipt', {
  timeout: 30 * MINUTES,
}, async ({ task }) => {
  await using crowd = await startCrowd();
  const { github, system, receipts } = crowd;
  const deploying = crowd.deployAll();
  const running: Dispatcher[] = [...system.dispatchers];
  for (let kills = 0; kills < 20; kills++) {
    const before = github.received;
    await until(
      'some more are dispatched',
      () => github.received >= before + 10 || github.received >= DISPATCHES,
      5 * MINUTES,
    );
    const victim = running.shift();
    victim?.process.signal('SIGKILL');
    await victim?.process.exited;
    running.push(await system.startDispatcher());
  }
  const ids = await deploying;
  const ended = await allConcluded(github, receipts);
  const sent = new Set(github.dispatches.map(({ client_payload }) => String(client_payload['dispatch_id'])));
  expect(
    ids.filter(id => !sent.has(id)),
    'lost',
  ).toEqual([]);
  expectOwnRuns(github, ended);
  const without = ids.filter(id => !ended.has(id));
  // Killed between the settling and the add, of which each kill has at most one in each of its slots.
  expect(without.length).toBeLessThanOrEqual(20);
  task.meta.notes = [
    `${github.received - sent.size} dispatched twice, ${without.length} without a receipt after 20 kills`,
  ];
});
