import { readGitHubDescription } from '@flux-dispatch/testbed/openapi';
import { describe, expect, test } from 'vitest';
import { setUpStub } from '../../test/support/stub.ts';
import { DEFAULT_WORKFLOW } from './actions-settings.ts';

const api = setUpStub();
const NAME = 'Altinn/dialogporten';
const REPO = `/repos/${NAME}`;
const RUNS = `${REPO}/actions/runs`;
const LISTED = 'GET /repos/{owner}/{repo}/actions/runs';
const OWNER_AND_REPO = { owner: 'Altinn', repo: 'dialogporten' };
const path = (name: string) => `.github/workflows/${name}`;

const list = async (query = '') => (await api.get(`${RUNS}${query}`)).body;
const titles = async (query = ''): Promise<string[]> =>
  (await list(query)).workflow_runs.map((run: { display_title: string }) => run.display_title);
const at = (ms: number) => new Date(api.now + ms).toISOString().replace('.000', '');

describe('a run', () => {
  test('comes of a dispatch, has the dispatch id in its title, and goes by the clock alone', async () => {
    api.stub.setActions({ runs: { delayMs: 5000, durationMs: 60_000, conclusion: 'failure' } });
    await api.dispatch('abc-1');
    const observed: unknown[] = [];
    for (const ms of [0, 4999, 1, 5999, 1, 53_999, 1]) {
      api.pass(ms);
      const [run] = (await api.octokit().rest.actions.listWorkflowRunsForRepo(OWNER_AND_REPO)).data
        .workflow_runs;
      observed.push(run && [run.status, run.conclusion]);
    }
    const [queued, running] = [
      ['queued', null],
      ['in_progress', null],
    ];
    expect(observed).toEqual([
      undefined,
      undefined,
      queued,
      queued,
      running,
      running,
      ['completed', 'failure'],
    ]);
    const [{ id }] = (await list()).workflow_runs;
    const { data: run } = await api.octokit().rest.actions.getWorkflowRun({ ...OWNER_AND_REPO, run_id: id });
    expect(run).toMatchObject({
      ...{ event: 'repository_dispatch', display_title: 'flux-deploy [abc-1]', name: 'flux', run_number: 1 },
      ...{ path: DEFAULT_WORKFLOW, head_branch: 'main', created_at: at(-60_000), updated_at: at(0) },
      ...{ html_url: `https://github.com/${NAME}/actions/runs/${id}`, url: `${api.stub.url}${RUNS}/${id}` },
      repository: { full_name: NAME },
    });
    expect(id).toBeGreaterThan(2 ** 32);
    const { data: workflows } = await api.octokit().rest.actions.listRepoWorkflows(OWNER_AND_REPO);
    expect(workflows.workflows[0]?.id).toBe(run.workflow_id);
  });

  test('is known to its own repository alone, and once it was created', async () => {
    api.stub.setActions({ runs: { delayMs: 1000 } });
    await api.dispatch('abc-1');
    api.pass(1000);
    const { id } = (await list()).workflow_runs[0];
    expect((await api.get(`${RUNS}/${id}`)).status).toBe(200);
    expect((await api.get(`/repos/Altinn/other/actions/runs/${id}`)).status).toBe(404);
    await api.dispatch('abc-2');
    expect((await api.get(`${RUNS}/${id + 1}`)).status).toBe(404);
    api.pass(1000);
    expect((await api.get(`${RUNS}/${id + 1}`)).status).toBe(200);
  });

  test.each([
    ['no run-name', undefined, 'flux-deploy'],
    ['a run-name that is blank', `"\${{ inputs.environment }} "`, 'flux-deploy'],
    [
      'the run-name of the README',
      `e2e in \${{ github.event.client_payload.environment || inputs.environment }} [\${{ github.event.client_payload.dispatch_id }}]`,
      'e2e in at23 [abc-1]',
    ],
    [
      'the other contexts',
      `\${{ github.workflow }} \${{ github.event_name }} \${{ github.repository }} \${{ github.ref_name }}`,
      `E2E repository_dispatch ${NAME} trunk`,
    ],
  ])('with %s has the title', async (_, runName, title) => {
    const file = `name: E2E\non: repository_dispatch\n${runName ? `run-name: ${runName}\n` : ''}`;
    const settings = { defaultBranch: 'trunk', files: { [path('e2e.yml')]: file } };
    api.stub.setActions({ repositories: { [NAME]: settings } });
    await api.dispatch('abc-1', { environment: 'at23' });
    expect(await titles()).toEqual([title]);
  });
});

describe('which workflows a dispatch starts', () => {
  const started = async (eventType: string) => {
    await api.dispatch('abc-1', { event_type: eventType });
    return api.stub.runs.map(run => run.path).sort();
  };

  test('those that are active, valid, on the default branch and listen to its type', async () => {
    api.stub.setActions({
      repositories: {
        [NAME]: {
          files: {
            [path('any.yml')]: 'on: [repository_dispatch]',
            [path('typed.yaml')]: 'on: {repository_dispatch: {types: [flux-deploy, other]}}',
            [path('single.yml')]: 'on: {repository_dispatch: {types: flux-deploy}}',
            [path('wrong-type.yml')]: 'on: {repository_dispatch: {types: [flux_deploy, Flux-Deploy]}}',
            [path('type.yml')]: 'on: {repository_dispatch: {type: [flux-deploy]}}',
            [path('push.yml')]: 'on: push',
            [path('broken.yml')]: 'on: [repository_dispatch',
            [path('disabled.yml')]: 'on: repository_dispatch',
            [path('below/deep.yml')]: 'on: repository_dispatch',
            [path('text.txt')]: 'on: repository_dispatch',
            'any.yml': 'on: repository_dispatch',
          },
          otherBranches: { topic: { [path('new.yml')]: 'on: repository_dispatch' } },
          disabled: [path('disabled.yml')],
        },
      },
    });
    expect(await started('flux-deploy')).toEqual([path('any.yml'), path('single.yml'), path('typed.yaml')]);
    api.stub.clearDispatches();
    expect(await started('other')).toEqual([path('any.yml'), path('typed.yaml')]);
    api.stub.clearDispatches();
    expect(await started('nobody')).toEqual([path('any.yml')]);
  });

  test('none where Actions is disabled, and the runs of before stay', async () => {
    await api.dispatch('abc-1');
    await api.put('/_stub/actions', { repositories: { [NAME]: { actionsDisabled: true } } });
    await api.dispatch('abc-2');
    expect(await titles()).toEqual(['flux-deploy [abc-1]']);
    expect((await api.get(`${REPO}/actions/workflows`)).body.workflows).toMatchObject([{ state: 'active' }]);
  });

  test('an archived repository takes no dispatch', async () => {
    await api.put('/_stub/actions', { repositories: { [NAME]: { archived: true } } });
    await expect(
      api.octokit().rest.repos.createDispatchEvent({ ...OWNER_AND_REPO, event_type: 'flux-deploy' }),
    ).rejects.toMatchObject({
      ...{ status: 403, message: expect.stringContaining('Repository was archived so is read-only.') },
    });
    expect([api.stub.dispatches, api.stub.runs]).toEqual([[], []]);
    expect((await api.get(RUNS)).status).toBe(200);
  });
});

describe('the plan of the runs', () => {
  test('is that of the workflow, else of the repository, else of all', async () => {
    api.stub.setActions({
      runs: { conclusion: ['success', 'cancelled'], durationMs: 0 },
      repositories: {
        'altinn/OWN': {
          files: { [path('a.yml')]: 'on: repository_dispatch', [path('b.yml')]: 'on: repository_dispatch' },
          runs: { conclusion: 'failure' },
          runsByWorkflow: { [path('b.yml')]: { conclusion: 'timed_out', delayMs: 1000 } },
        },
        'Altinn/lost': { runs: { missing: true } },
      },
    });
    for (const repo of [NAME, NAME, NAME, 'Altinn/Own', 'Altinn/lost']) await api.dispatch('1', { repo });
    api.pass(1000);
    expect(api.stub.runs.map(run => [run.repo, run.path, run.run_number, run.conclusion])).toEqual([
      ['dialogporten', DEFAULT_WORKFLOW, 1, 'success'],
      ['dialogporten', DEFAULT_WORKFLOW, 2, 'cancelled'],
      ['dialogporten', DEFAULT_WORKFLOW, 3, 'success'],
      ['Own', path('a.yml'), 1, 'failure'],
      ['Own', path('b.yml'), 1, 'timed_out'],
    ]);
  });

  test('draws the same delays after the same settings, whatever ran before', async () => {
    const delays = async () => {
      const begin = api.now;
      api.stub.setActions({ runs: { delayMs: [0, 90_000], seed: 3 } });
      for (const id of ['1', '2', '3', '4', '5']) await api.dispatch(id);
      api.pass(90_000);
      return api.stub.runs
        .filter(run => Date.parse(run.created_at) >= begin)
        .map(run => Date.parse(run.created_at) - begin);
    };
    const first = await delays();
    expect(new Set(first).size).toBeGreaterThan(1);
    api.pass(60_000);
    expect(await delays()).toEqual(first);
  });

  test('of a run that was planned already does not change', async () => {
    api.stub.setActions({ runs: { delayMs: 1000, conclusion: 'failure' } });
    await api.dispatch('abc-1');
    api.stub.setActions({});
    api.pass(2000);
    expect(api.stub.runs).toMatchObject([{ dispatch_id: 'abc-1', conclusion: 'failure' }]);
  });
});

describe('the list of runs', () => {
  const dispatchMany = async (count: number) => {
    for (let index = 1; index <= count; index++) {
      await api.dispatch(String(index));
      api.pass(1000);
    }
  };

  test('has the newest first, by when they were created', async () => {
    api.stub.setActions({ runs: { delayMs: 10_000 } });
    await api.dispatch('late');
    api.stub.setActions({});
    await api.dispatch('early');
    await api.dispatch('also early');
    api.pass(10_000);
    expect(await titles()).toEqual([
      ...['flux-deploy [late]', 'flux-deploy [also early]', 'flux-deploy [early]'],
    ]);
  });

  test('comes in pages of 30, of 100 at most, and links the others', async () => {
    await dispatchMany(205);
    expect(await list()).toMatchObject({ total_count: 205, workflow_runs: { length: 30 } });
    expect((await list('?per_page=1000')).workflow_runs).toHaveLength(100);
    expect((await list('?per_page=0&page=x')).workflow_runs).toHaveLength(30);
    const links = async (query: string) => (await api.get(`${RUNS}${query}`)).headers['link'];
    const link = (page: number, rel: string) =>
      `<${api.stub.url}${RUNS}?event=repository_dispatch&per_page=100&page=${page}>; rel="${rel}"`;
    const query = '?event=repository_dispatch&per_page=100';
    expect(await links(query)).toBe([link(2, 'next'), link(3, 'last')].join(', '));
    expect(await links(`${query}&page=2`)).toBe(
      [link(1, 'prev'), link(3, 'next'), link(3, 'last'), link(1, 'first')].join(', '),
    );
    expect(await links(`${query}&page=3`)).toBe([link(2, 'prev'), link(1, 'first')].join(', '));
    expect((await list(`${query}&page=3`)).workflow_runs).toHaveLength(5);
    expect((await list(`${query}&page=4`)).workflow_runs).toEqual([]);
    expect(await links('?per_page=100&event=push')).toBeUndefined();
    const octokit = api.octokit();
    const all = await octokit.paginate(octokit.rest.actions.listWorkflowRunsForRepo, {
      ...{ ...OWNER_AND_REPO, event: 'repository_dispatch', per_page: 100 },
    });
    expect(all.map(run => run.display_title)).toEqual(
      Array.from({ length: 205 }, (_, index) => `flux-deploy [${205 - index}]`),
    );
  });

  // Created at 0, 1000, 2000 and 3500 ms, and listed at 5000 ms.
  test.each<[query: string, found: string[]]>([
    ['event=repository_dispatch', ['4', '3', '2', '1']],
    ['event=push', []],
    ['branch=main', ['4', '3', '2', '1']],
    ['branch=topic', []],
    ['status=completed', ['4', '3', '2', '1']],
    ['status=success', ['4', '3', '2', '1']],
    ['status=failure', []],
    ['status=queued', []],
    ['created=>={2000}', ['4', '3']],
    ['created=>={3000}', ['4']],
    ['created=>{2000}', ['4']],
    ['created=<={1000}', ['2', '1']],
    ['created=<{1000}', ['1']],
    ['created={1000}', ['2']],
    ['created={1000}..{2000}', ['3', '2']],
    ['created=*..{0}', ['1']],
    ['created={3000}..*', ['4']],
    ['created=>={day}&event=repository_dispatch', ['4', '3', '2', '1']],
    ['created=>{tomorrow}', []],
  ])('with %s', async (query, found) => {
    for (const [id, ms] of [
      ['1', 1000],
      ['2', 1000],
      ['3', 1500],
      ['4', 1500],
    ] as const) {
      await api.dispatch(id);
      api.pass(ms);
    }
    const begin = api.now - 5000;
    const iso = (ms: number) => new Date(ms).toISOString().replace('.000', '');
    const dates: Record<string, string> = {
      day: iso(begin).slice(0, 10),
      tomorrow: iso(begin + 86_400_000).slice(0, 10),
    };
    const filled = query.replace(/\{(\w+)\}/g, (_, key: string) => dates[key] ?? iso(begin + Number(key)));
    const encoded = filled.replaceAll('>', '%3E').replaceAll('<', '%3C');
    expect(await titles(`?${encoded}`)).toEqual(found.map(id => `flux-deploy [${id}]`));
  });

  test.each(['yesterday', '2026-13-01', '>=', '2026-11-21T10:00', '2026-11-21..2026-11-22..*', '..'])(
    'refuses created=%s',
    async created => {
      expect((await api.get(`${RUNS}?created=${encodeURIComponent(created)}`)).status).toBe(422);
    },
  );

  test('ends at 1,000 of a search', async () => {
    for (let index = 0; index < 1050; index++) await api.dispatch(String(index));
    expect((await list('?event=repository_dispatch&per_page=100&page=10')).workflow_runs).toHaveLength(100);
    expect(await list('?event=repository_dispatch&per_page=100&page=11')).toMatchObject({
      ...{ total_count: 1050, workflow_runs: [] },
    });
    expect((await list('?per_page=100&page=11')).workflow_runs).toHaveLength(50);
  });
});

describe('a conditional request', () => {
  const used = (answer: { headers: Record<string, string> }) => Number(answer.headers['x-ratelimit-used']);

  test('is answered 304 until something changes, and does not count against the primary limit', async () => {
    await api.dispatch('abc-1');
    const first = await api.get(RUNS);
    const { etag = '' } = first.headers;
    expect(etag).toMatch(/^W\/"[0-9a-f]{64}"$/);
    for (const header of [etag, etag.replace('W/', ''), `"other", ${etag}`]) {
      const again = await api.get(RUNS, { 'if-none-match': header });
      expect(again).toMatchObject({ status: 304, body: '', headers: { etag } });
      expect(used(again)).toBe(used(first));
      expect(again.headers['x-ratelimit-remaining']).toBe(first.headers['x-ratelimit-remaining']);
    }
    await expect(
      api.octokit().rest.actions.listWorkflowRunsForRepo({
        ...OWNER_AND_REPO,
        headers: { 'if-none-match': etag, accept: '*/*' },
      }),
    ).rejects.toMatchObject({ status: 304 });
    api.pass(500);
    const changed = await api.get(RUNS, { 'if-none-match': etag });
    expect(changed.status).toBe(200);
    expect(changed.headers['etag']).not.toBe(etag);
    expect(used(changed)).toBe(used(first) + 1);
    expect([api.stub.requests.get(`${LISTED} 200`), api.stub.requests.get(`${LISTED} 304`)]).toEqual([2, 4]);
  });

  test.each([REPO, `${REPO}/contents/.github/workflows`, `${REPO}/contents/${DEFAULT_WORKFLOW}?ref=main`])(
    'for %s too',
    async address => {
      const { etag = '' } = (await api.get(address)).headers;
      expect((await api.get(address, { 'if-none-match': etag })).status).toBe(304);
    },
  );

  test('with another token is answered in full', async () => {
    const { etag = '' } = (await api.get(RUNS)).headers;
    const authorization = `token ${await api.newToken()}`;
    expect((await api.get(RUNS, { authorization, 'if-none-match': etag })).status).toBe(200);
  });

  test('costs a point of the secondary limit', async () => {
    const { etag = '' } = (await api.get(RUNS)).headers;
    api.stub.setSecondaryLimit({ enabled: true, points: 2 });
    const statuses = [];
    for (let index = 0; index < 3; index++) {
      statuses.push((await api.get(RUNS, { 'if-none-match': etag })).status);
    }
    expect(statuses).toEqual([304, 304, 403]);
  });

  test('with nothing left of the primary limit is refused like any other', async () => {
    api.stub.setRateLimit({ limit: 1 });
    const { etag = '' } = (await api.get(RUNS)).headers;
    expect((await api.get(RUNS, { 'if-none-match': etag })).status).toBe(403);
  });
});

describe('the controls', () => {
  test('show which runs there are and what caused them, and forget them', async () => {
    await api.dispatch('abc-1');
    await api.dispatch('abc-2', { repo: 'Altinn/other', event_type: 'flux-deploy-failed' });
    const [one, two] = api.stub.runs;
    expect(one).toEqual({
      ...{ id: expect.any(Number), dispatch: 1, dispatch_id: 'abc-1', owner: 'Altinn', repo: 'dialogporten' },
      ...{ event_type: 'flux-deploy', workflow: 'flux', path: DEFAULT_WORKFLOW, run_number: 1 },
      ...{ display_title: 'flux-deploy [abc-1]', status: 'queued', conclusion: null },
      ...{ created_at: at(0), updated_at: at(0) },
    });
    expect((await api.get('/_stub/runs')).body).toEqual({ runs: [one, two] });
    expect((await api.get('/_stub/runs?repo=altinn/OTHER')).body).toEqual({ runs: [two] });
    api.stub.clear();
    expect((await api.get('/_stub/runs')).body).toEqual({ runs: [] });
    expect(await list()).toEqual({ total_count: 0, workflow_runs: [] });
  });

  test('put Actions back to how it was', async () => {
    api.stub.setActions({ permission: 'none', repositories: { [NAME]: { archived: true } } });
    api.stub.clear();
    expect((await api.get(REPO)).body.archived).toBe(false);
    expect((await api.get(RUNS)).status).toBe(200);
  });

  test('show the runs of each dispatch on the page, and trust no title', async () => {
    api.stub.setActions({
      runs: { durationMs: 1000, conclusion: 'failure' },
      repositories: {
        [NAME]: { files: { [path('x.yml')]: 'name: <b>\non: repository_dispatch\nrun-name: <img src=x>' } },
        'Altinn/none': { files: {} },
      },
    });
    await api.dispatch('abc-1');
    expect((await api.get('/')).body).toContain('<span>&#60;b&#62;: queued</span>');
    await api.dispatch('abc-2', { repo: 'Altinn/none' });
    api.pass(1000);
    const { body } = await api.get('/');
    expect(body).toContain('<span>&#60;b&#62;: failure</span>');
    expect(body).toContain('&#60;img src=x&#62;: failure');
    expect(body).toContain('<span>none</span>');
    expect(body).not.toMatch(/<b>|<img/);
  });
});

test('a run is as GitHub’s own description says, whatever its state', async () => {
  const github = readGitHubDescription('2026-03-10');
  await api.dispatch('abc-1');
  for (const ms of [0, 500, 500]) {
    api.pass(ms);
    const { workflow_runs } = await list();
    expect(github.valueFaults('workflow-run', workflow_runs[0])).toEqual([]);
  }
});
