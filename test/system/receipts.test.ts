import { ociRevision } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { NotYet, until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { type ReceiptSystem, startReceiptSystem } from '../support/receipt-system.ts';
import { workflowFile } from '../support/workflow.ts';

const REPO = 'Altinn/dialogporten';
const PLAIN = { namesDispatch: false };

describe('a dispatch is done when its workflow has run', () => {
  let on: ReceiptSystem;
  let objects = 0;

  beforeAll(async () => {
    on = await startReceiptSystem(inject('redisUrl'));
  });
  afterAll(() => on?.[Symbol.asyncDispose]());
  beforeEach(() => on.github.clear());

  const deploy = async (metadata: Record<string, string> = {}, repo = REPO) => {
    const name = `app-${++objects}`;
    const { status, body } = await on.post({ name, repo, metadata });
    expect(status).toBe(202);
    return { name, id: body.dispatch_id ?? '' };
  };
  const again = (name: string, repo = REPO) => on.post({ name, repo });
  const ops = () => on.system.dispatchers[0]?.opsUrl ?? '';
  const runs = (result: string) => readMetric(ops(), 'flux_dispatch_runs_total', { result });
  const logged = (id: string, outcome: string) =>
    on.system.dispatchers[0]?.process.stdout
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(line => line['dispatch_id'] === id && line['outcome'] === outcome) ?? [];

  test.each(['success', 'failure', 'cancelled', 'timed_out', 'startup_failure'])(
    'a run that concludes with %s',
    async conclusion => {
      on.github.setActions({ runs: { durationMs: 10, conclusion } });
      const before = await runs(conclusion);
      const { id } = await deploy();
      const { data, returnvalue } = await on.ended(id, 'completed');
      expect(data.runs).toMatchObject([{ conclusion, match: 'exact', status: 'completed' }]);
      const [run] = on.github.runs;
      expect(data.runs[0]).toMatchObject({
        id: run?.id,
        url: expect.stringContaining(`/${REPO}/actions/runs/`),
      });
      expect(returnvalue).toEqual({ results: [conclusion] });
      expect(await runs(conclusion)).toBe(before + 1);
      expect(logged(id, 'completed')).toMatchObject([
        { repo: REPO, event_type: 'flux-deploy', runs: [{ result: conclusion }] },
      ]);
      // It cannot be sent again, so its payload is gone.
      expect(data.dispatch).toBeUndefined();
    },
  );

  test('two workflows, of which one names the dispatch: the other is not guessed at', async () => {
    const files = {
      '.github/workflows/named.yaml': workflowFile(['flux-deploy']),
      '.github/workflows/plain.yaml': workflowFile(['flux-deploy'], PLAIN),
    };
    on.github.setActions({ repositories: { [REPO]: { files } }, runs: { durationMs: 10 } });
    const { data } = await on.ended((await deploy()).id, 'completed');
    expect(data.runs).toMatchObject([{ match: 'exact' }]);
  });

  test('two workflows that name the dispatch are two runs', async () => {
    const files = {
      '.github/workflows/a.yaml': workflowFile(['flux-deploy']),
      '.github/workflows/b.yaml': workflowFile(['flux-deploy']),
    };
    const runsByWorkflow = { '.github/workflows/b.yaml': { durationMs: 10, conclusion: 'failure' } };
    on.github.setActions({ repositories: { [REPO]: { files, runsByWorkflow } }, runs: { durationMs: 10 } });
    const { data } = await on.ended((await deploy()).id, 'completed');
    expect(data.runs.map(({ conclusion }) => conclusion).sort()).toEqual(['failure', 'success']);
  });

  test('workflows that do not name the dispatch: each run is claimed once', async () => {
    const files = { '.github/workflows/plain.yaml': workflowFile(['flux-deploy'], PLAIN) };
    on.github.setActions({ repositories: { [REPO]: { files } }, runs: { durationMs: 10 } });
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push((await deploy()).id);
    const ended = await Promise.all(ids.map(id => on.ended(id, 'completed')));
    const claimed = ended.flatMap(({ data }) => data.runs);
    expect(claimed.every(({ match }) => match === 'probable')).toBe(true);
    expect(new Set(claimed.map(({ id }) => id)).size).toBe(5);
  });

  test('no run: the receipt fails with what is wrong, and the team hears of it until a run is seen', async () => {
    const path = '.github/workflows/e2e.yaml';
    const other = { [path]: workflowFile(['flux-deployed']) };
    on.github.setActions({ repositories: { [REPO]: { files: other } } });
    const before = await runs('none');
    const { id, name } = await deploy();
    const failed = await on.ended(id, 'failed');
    expect(failed.failedReason).toMatch(/flux-deployed/);
    expect(failed.data.finding).toBe(failed.failedReason);
    expect(await runs('none')).toBe(before + 1);
    expect(logged(id, 'no_run')).toMatchObject([{ error: failed.failedReason }]);

    for (let report = 0; report < 2; report++) {
      const { status, body } = await again(name);
      expect(status).toBe(422);
      expect(body).toMatchObject({ outcome: 'no_run', message: expect.stringContaining('flux-deployed') });
      expect(body.dispatch_id).toBe(id);
    }
    expect(on.github.received).toBe(1);

    // The team fixes its workflow, and an operator presses Retry.
    const fixed = { [path]: workflowFile(['flux-deploy']) };
    on.github.setActions({ repositories: { [REPO]: { files: fixed } }, runs: { durationMs: 10 } });
    await failed.retry('failed');
    const { data } = await on.ended(id, 'completed');
    expect(data.runs).toMatchObject([{ conclusion: 'success', match: 'exact' }]);
    expect(on.github.dispatches.map(({ client_payload }) => client_payload['dispatch_id'])).toEqual([id, id]);
    expect((await again(name)).body).toMatchObject({ outcome: 'duplicate', dispatch_id: id });
  });

  test('a run that starts after all ends what the team hears, once it is listed', async () => {
    on.github.setActions({ runs: { delayMs: 4000, durationMs: 10 } });
    const { id, name } = await deploy();
    await on.ended(id, 'failed');
    expect((await again(name)).body.outcome).toBe('no_run');
    // What is listed next in this repository is for others.
    const seen = async () => {
      await deploy();
      return logged(id, 'late_run').length > 0;
    };
    await until('the late run is seen', seen);
    expect((await again(name)).body).toMatchObject({ outcome: 'duplicate', dispatch_id: id });
  });

  test.each([
    ['the repository', 404, 'Not Found'],
    ['an address that is not allowed', 403, 'Your IP address is not permitted to access this resource'],
  ])('runs that GitHub does not list, for %s, are no missing ones', async (_, status, message) => {
    on.github.setFaults([
      { match: { path: '^/repos/Altinn/unlisted/actions/runs' }, action: { status, body: { message } } },
    ]);
    const other = await deploy({}, 'Altinn/unlisted');
    if (status === 404) {
      const { data, returnvalue } = await on.ended(other.id, 'completed');
      expect({ runs: data.runs, returnvalue }).toEqual({ runs: [], returnvalue: { results: ['unknown'] } });
    }
    // Neither is it the permission of the App.
    on.github.setActions({ runs: { durationMs: 10 } });
    expect((await on.ended((await deploy()).id, 'completed')).data.runs).toHaveLength(1);
    expect((await again(other.name, 'Altinn/unlisted')).body.outcome).toBe('duplicate');
  });

  test('what is open is counted, and a run is shown before it has concluded', async () => {
    on.github.setActions({ runs: { durationMs: 3_600_000 } });
    const { id } = await deploy();
    const runs = await until('the run is seen', async () => {
      const found = (await on.receipts.getJob(id))?.data.runs ?? [];
      return found.length > 0 ? { found } : new NotYet('no run yet');
    });
    expect(runs.found).toMatchObject([{ conclusion: null, match: 'exact' }]);
    expect(await readMetric(ops(), 'flux_dispatch_receipts_open')).toBeGreaterThanOrEqual(1);
  });

  test('the same deployment of another object has a receipt of its own', async () => {
    on.github.setActions({ runs: { durationMs: 10 } });
    const [a, b] = [await deploy(), await deploy({ revision: ociRevision('at23', 'other') })];
    const [first, second] = [await on.ended(a.id, 'completed'), await on.ended(b.id, 'completed')];
    expect(first.data.runs[0]?.id).not.toBe(second.data.runs[0]?.id);
  });
});

describe('what receipts are not to do', () => {
  test('without "Actions: read" there are none, one warning says so, and dispatches go on', async () => {
    await using on = await startReceiptSystem(inject('redisUrl'));
    const { system, github, receipts, post } = on;
    github.setActions({ permission: 'none' });
    const [dispatcher] = system.dispatchers;
    const warnings = () => dispatcher?.process.stdout.filter(line => line.includes('Actions: read')) ?? [];
    await post({ name: 'first' });
    await until('the warning is logged', async () => warnings().length > 0);
    for (let n = 0; n < 5; n++) await post({ name: `app-${n}` });
    await until('all are dispatched', async () => github.received === 6);
    await until('no receipt is left', async () => (await receipts.getJobCountByTypes()) === 0);
    expect(warnings()).toHaveLength(1);
    const text = await (await fetch(`${dispatcher?.opsUrl}/metrics`)).text();
    expect(text).not.toMatch(/^flux_dispatch_receipts_open /m);
  });

  test('RUN_RECEIPTS=off asks for nothing', async () => {
    await using on = await startReceiptSystem(inject('redisUrl'), { RUN_RECEIPTS: 'off' });
    await on.post({ name: 'first' });
    await until('it is dispatched', async () => on.github.received === 1);
    await until('the job has ended', async () => (await on.queues.dispatches.getCompletedCount()) === 1);
    expect(await on.receipts.getJobCountByTypes()).toBe(0);
  });

  test('while GitHub pauses dispatches, no runs are listed', async () => {
    await using on = await startReceiptSystem(inject('redisUrl'));
    const { github, post, receipts, queues } = on;
    const { body } = await post({ name: 'first' });
    await until(
      'its receipt is open',
      async () => (await receipts.getJob(body.dispatch_id ?? '')) !== undefined,
    );
    const limit = { status: 429, headers: { 'retry-after': '3600' } };
    github.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: limit }]);
    await post({ name: 'second' });
    await until('the queue pauses', async () => (await queues.dispatches.getRateLimitTtl()) > 60_000);
    await until('the receipts are held', async () => (await receipts.getRateLimitTtl()) > 60_000);
    expect([...github.requests.keys()].filter(call => call.includes('/actions/runs'))).toEqual([]);
    expect(await receipts.getJobCountByTypes('completed', 'failed')).toBe(0);
  });

  test('a secondary limit that a list of runs meets holds receipts alone', async () => {
    await using on = await startReceiptSystem(inject('redisUrl'));
    const { github, post, receipts, queues } = on;
    const limit = { status: 429, headers: { 'retry-after': '3600' } };
    github.setFaults([{ match: { method: 'GET', path: '^/repos/.*/actions/runs' }, action: limit }]);
    await post({ name: 'first' });
    await until('the receipts are held', async () => (await receipts.getRateLimitTtl()) > 60_000);
    await post({ name: 'second' });
    await until('dispatches go on', async () => github.received === 2);
    expect(await queues.dispatches.getRateLimitTtl()).toBeLessThan(60_000);
  });

  test('the last tenth of the hourly limit is left to dispatches', async () => {
    await using on = await startReceiptSystem(inject('redisUrl'));
    on.github.setRateLimit({ limit: 20 });
    // The 19th call of the installation leaves 1 of 20.
    for (let n = 0; n < 19; n++) await on.post({ name: `app-${n}` });
    await until('all are dispatched', async () => on.github.received === 19);
    const looked = async () => {
      const delayed = await on.receipts.getDelayed();
      const waitMs = delayed.map(({ timestamp, delay }) => timestamp + delay - Date.now());
      return delayed.length === 19 && waitMs.every(ms => ms > 30_000);
    };
    await until('all receipts stand back', looked);
    expect([...on.github.requests.keys()].filter(call => call.includes('/actions/runs'))).toEqual([]);
  });
});
