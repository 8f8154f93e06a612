import type { RunningGitHubStub } from '@flux-dispatch/github-stub/stub';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type ReceiptSystem, startReceiptSystem } from '../support/receipt-system.ts';

const E2E = '.github/workflows/e2e.yaml';
const FILE = `"${E2E}"`;
const TYPE = '"flux-deploy"';
const BRANCH = 'the default branch "main"';

type Settings = NonNullable<Parameters<RunningGitHubStub['setActions']>[0]['repositories']>[string];

/** What stands under `on`, in a workflow that is right otherwise. */
const workflow = (on: string, runName = `\${{ github.event.client_payload.dispatch_id }}`) =>
  `name: E2E\nrun-name: ${runName}\non:\n${on}\njobs:\n  e2e:\n    runs-on: ubuntu-latest\n    steps: [{ run: make e2e }]\n`;
const RIGHT = workflow('  repository_dispatch:\n    types: [flux-deploy]');
const UNNAMED = workflow('  repository_dispatch:\n    types: [flux-deploy]', 'E2E tests');
const e2e = (text: string): Settings => ({ files: { [E2E]: text } });

/** Each by its name: how it is configured, and what the diagnosis has to name, the remedy last. */
const WITHOUT_RUN: Readonly<Record<string, readonly [settings: Settings, says: readonly string[]]>> = {
  'wrong-type': [
    e2e(workflow('  repository_dispatch:\n    types: [nightly]')),
    [BRANCH, TYPE, 'only to "nightly"', 'Add the type in a workflow', 'change dispatch_event in the Alert'],
  ],
  'misspelt-type': [
    e2e(workflow('  repository_dispatch:\n    types: [flux-deployed]')),
    [FILE, TYPE, 'Did you mean "flux-deployed"', 'Change types in the workflow, or dispatch_event'],
  ],
  'type-for-types': [
    e2e(workflow('  repository_dispatch:\n    type: [flux-deploy]')),
    [FILE, TYPE, 'has "type" under repository_dispatch (line 5)', 'Rename it to "types"'],
  ],
  disabled: [
    { ...e2e(RIGHT), disabled: [E2E] },
    [FILE, TYPE, 'someone has disabled it', 'Enable it in the Actions tab', 'then Enable workflow'],
  ],
  'disabled-by-github': [
    { ...e2e(RIGHT), disabled: { [E2E]: 'disabled_inactivity' } },
    [FILE, TYPE, 'GitHub has disabled it', 'no activity', 'Enable it in the Actions tab'],
  ],
  'other-branch': [
    { files: { 'README.md': '' }, otherBranches: { 'feature/e2e': { [E2E]: RIGHT } } },
    [FILE, TYPE, 'only on another branch', 'Merge it into the default branch'],
  ],
  'broken-yaml': [
    e2e(workflow('  repository_dispatch:\n\t  types: [flux-deploy]')),
    [FILE, TYPE, BRANCH, 'GitHub cannot read', 'Correct line 5, column 1'],
  ],
  'no-workflows': [
    { files: { 'README.md': '' } },
    ['.github/workflows', BRANCH, 'Add one with "on: repository_dispatch" and types: [flux-deploy]'],
  ],
  'actions-off': [
    { ...e2e(RIGHT), actionsDisabled: true },
    ['GitHub Actions is disabled for Altinn/actions-off', 'Enable it under Settings, Actions, General'],
  ],
  'actions-off-and-run-name': [
    { ...e2e(UNNAMED), actionsDisabled: true },
    ['GitHub Actions is disabled', 'Enable it under Settings, Actions, General'],
  ],
  'github-alone': [
    { ...e2e(RIGHT), runs: { missing: true } },
    [FILE, TYPE, 'GitHub started no run', 'https://www.githubstatus.com', 'press Retry under Runs'],
  ],
};
const ARCHIVED_LATER = ['is archived', 'Unarchive it in its settings', 'correct dispatch_repo in the Alert'];
const NOT_RECOGNIZED = [
  ...[FILE, TYPE, 'run-name does not contain the dispatch id', 'cannot be told from others'],
  `Add \${{ github.event.client_payload.dispatch_id }} to run-name, or remove run-name.`,
];

/** Refused at the dispatch: what the dead letter has to name. */
const REFUSED: Readonly<Record<string, readonly [settings: Settings, says: readonly string[]]>> = {
  archived: [
    { ...e2e(RIGHT), archived: true },
    ['is archived', 'Unarchive it in its settings', 'press Retry'],
  ],
  'app-without-permission': [
    e2e(RIGHT),
    ['may not dispatch to Altinn/app-without-permission', '"Contents: read and write"', 'accept it'],
  ],
};

function configure({ github }: ReceiptSystem, isArchivedYet: boolean): void {
  const named = Object.entries({ ...WITHOUT_RUN, ...REFUSED });
  github.setActions({
    administration: 'read',
    repositories: {
      ...Object.fromEntries(named.map(([name, [settings]]) => [`Altinn/${name}`, settings])),
      'Altinn/archived-later': { ...e2e(RIGHT), archived: isArchivedYet, runs: { missing: true } },
      'Altinn/not-recognized': { ...e2e(UNNAMED), runs: { durationMs: 10 } },
    },
  });
}

const MAY_NOT_DISPATCH = {
  match: { method: 'POST', path: '^/repos/Altinn/app-without-permission/dispatches' },
  action: { status: 403, body: { message: 'Resource not accessible by integration' } },
};
const NO_RUNS_YET = {
  match: { method: 'GET', path: '^/repos/Altinn/archived-later/actions/runs' },
  action: { status: 502 },
};

function expectAll(text: string | undefined, parts: readonly string[]): void {
  for (const part of parts) expect.soft(text).toContain(part);
}

describe('broken repositories, all at once', () => {
  let on: ReceiptSystem;
  const ids = new Map<string, string | undefined>();

  beforeAll(async () => {
    on = await startReceiptSystem(inject('redisUrl'));
    const { github, post } = on;
    configure(on, false);
    github.setFaults([MAY_NOT_DISPATCH, NO_RUNS_YET]);
    const names = [...Object.keys(WITHOUT_RUN), ...Object.keys(REFUSED), 'archived-later', 'not-recognized'];
    await Promise.all(
      names.map(async name => {
        const { status, body } = await post({ name, repo: `Altinn/${name}` });
        expect(status).toBe(202);
        ids.set(name, body.dispatch_id);
      }),
    );
    await until('it is delivered', () => github.dispatches.some(({ repo }) => repo === 'archived-later'));
    configure(on, true);
    github.setFaults([MAY_NOT_DISPATCH]);
  });
  afterAll(() => on?.[Symbol.asyncDispose]());

  const withoutRun = Object.entries(WITHOUT_RUN).map(([name, [, says]]) => [name, says] as const);
  test.each([...withoutRun, ['archived-later', ARCHIVED_LATER] as const])('%s', async (name, says) => {
    const { failedReason, data } = await on.ended(ids.get(name), 'failed');
    expectAll(failedReason, [`Altinn/${name}`, ...says]);
    expect(data).toMatchObject({ runs: [], finding: failedReason });
  });

  test.each(Object.entries(REFUSED).map(([name, [, says]]) => [name, says] as const))(
    '%s: the dead letter says it',
    async (name, says) => {
      const { data } = await until('it is a dead letter', async () =>
        (await on.queues.deadLetters.getFailed()).find(({ data }) => data.dispatch_id === ids.get(name)),
      );
      expect(data.error.code).toBe('403');
      expectAll(data.hint, [`Altinn/${name}`, ...says]);
      expect(await on.receipts.getJob(ids.get(name) ?? '')).toBeUndefined();
    },
  );

  test('a run that cannot be recognized is no failure', async () => {
    const id = ids.get('not-recognized') ?? '';
    const { data, returnvalue } = await on.ended(id, 'completed');
    expect(returnvalue).toEqual({ results: ['unknown'] });
    expect(data).toMatchObject({ runs: [], finding: expect.any(String) });
    expectAll(data.finding, ['Altinn/not-recognized', ...NOT_RECOGNIZED]);
    // It did run.
    expect(on.github.runs).toMatchObject([{ dispatch_id: id, display_title: 'E2E tests' }]);
    const lines = on.system.dispatchers[0]?.process.log().filter(line => line['dispatch_id'] === id);
    expect(lines).toContainEqual(expect.objectContaining({ outcome: 'unknown', error: data.finding }));
    expect(lines).not.toContainEqual(expect.objectContaining({ outcome: 'no_run' }));
  });

  test('each is counted for what it is', async () => {
    for (const name of [...Object.keys(WITHOUT_RUN), 'archived-later'])
      await on.ended(ids.get(name), 'failed');
    await on.ended(ids.get('not-recognized'), 'completed');
    const runs = (result: string) =>
      readMetric(on.system.dispatchers[0]?.opsUrl ?? '', 'flux_dispatch_runs_total', { result });
    expect(await runs('none')).toBe(Object.keys(WITHOUT_RUN).length + 1);
    expect(await runs('unknown')).toBe(1);
  });
});

test('Actions off where the App may not see it: the diagnosis says to check it', async () => {
  await using on = await startReceiptSystem(inject('redisUrl'));
  on.github.setActions({ repositories: { 'Altinn/off': { ...e2e(RIGHT), actionsDisabled: true } } });
  const { body } = await on.post({ repo: 'Altinn/off' });
  const { failedReason } = await on.ended(body.dispatch_id, 'failed');
  expectAll(failedReason, [
    ...[FILE, TYPE, 'Altinn/off', 'GitHub started no run'],
    'check that Actions is enabled (Settings, Actions, General)',
  ]);
  expect([...on.github.requests.keys()]).toContain('GET /repos/{owner}/{repo}/actions/permissions 403');
});
