import { readGitHubDescription } from '@flux-dispatch/testbed/openapi';
import { describe, expect, test } from 'vitest';
import { setUpStub } from '../../test/support/stub.ts';
import { DEFAULT_FILES, DEFAULT_WORKFLOW } from './actions-settings.ts';
import { readWorkflow } from './workflow.ts';

const api = setUpStub();
const REPO = '/repos/Altinn/dialogporten';
const OWNER_AND_REPO = { owner: 'Altinn', repo: 'dialogporten' };
const DIRECTORY = '.github/workflows';
const path = (name: string) => `${DIRECTORY}/${name}`;

describe('a workflow file', () => {
  test.each<[string, 'all' | string[]]>([
    ['on: repository_dispatch', 'all'],
    ['"on": repository_dispatch', 'all'],
    ['on: [push, repository_dispatch]', 'all'],
    ['on:\n  repository_dispatch:', 'all'],
    ['on:\n  repository_dispatch: {}', 'all'],
    ['on:\n  repository_dispatch:\n    types:', 'all'],
    ['on:\n  repository_dispatch:\n    types: flux-deploy', ['flux-deploy']],
    ['on:\n  push:\n  repository_dispatch:\n    types: [a, b] # both', ['a', 'b']],
    ['on:\n  repository_dispatch:\n    types: [1.5, true]', ['1.5', 'true']],
    ['x: &types [a]\non:\n  repository_dispatch:\n    types: *types', ['a']],
    ['\uFEFFon: repository_dispatch\r\n', 'all'],
    ['on: push', []],
    ['on: [push]', []],
    ['on: {workflow_call: {}}', []],
    ['on:\n  repository_dispatch:\n    type: [a]', []],
    ['on:\n  repository_dispatch:\n    types: [{}]', []],
    ['on:\n  repository_dispatch: flux-deploy', []],
    ['name: no triggers', []],
    ['on:\n\trepository_dispatch:', []],
    ['on: repository_dispatch\non: push', []],
    ['on: [repository_dispatch', []],
    ['--- \non: repository_dispatch\n---\non: push', []],
    ['- on: repository_dispatch', []],
    ['', []],
  ])('%j is started by %j', (text, types) => {
    expect(readWorkflow('w.yaml', text).types).toEqual(types);
  });

  test.each([
    ['on: push\nname: E2E', 'E2E'],
    ['on: push', 'w.yaml'],
    ['on: push\nname: 7', 'w.yaml'],
    ['name: E2E\non: [', 'w.yaml'],
  ])('%j is called %s', (text, name) => {
    expect(readWorkflow('w.yaml', text).name).toBe(name);
  });

  test('with thousands of aliases is not valid', () => {
    const levels = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);
    const text = ['on: repository_dispatch', 'a0: &a0 x', ...levels].join('\n');
    expect(readWorkflow('w.yaml', text).types).toEqual([]);
  });
});

describe('GET /repos/{owner}/{repo}', () => {
  test('shows what was set of the repository', async () => {
    const { data } = await api.octokit().rest.repos.get(OWNER_AND_REPO);
    expect(data).toMatchObject({
      full_name: 'Altinn/dialogporten',
      default_branch: 'main',
      archived: false,
      disabled: false,
      private: true,
      owner: { login: 'Altinn' },
      html_url: 'https://github.com/Altinn/dialogporten',
      url: `${api.stub.url}${REPO}`,
      permissions: { admin: false, push: true, pull: true },
    });
    api.stub.setActions({
      repositories: { 'altinn/Dialogporten': { archived: true, defaultBranch: 'trunk' } },
    });
    expect((await api.get(REPO)).body).toMatchObject({ archived: true, default_branch: 'trunk' });
    expect((await api.get('/repos/Altinn/other')).body).toMatchObject({ archived: false });
  });

  test('has the number to which its old name redirects', async () => {
    api.stub.setRepositories({ renamed: { 'Altinn/old': 'Altinn/dialogporten' } });
    const { id } = (await api.get(REPO)).body;
    const redirect = await api.get('/repos/altinn/old/actions/workflows?per_page=1');
    expect(redirect).toMatchObject({
      status: 301,
      headers: { location: `${api.stub.url}/repositories/${id}/actions/workflows?per_page=1` },
    });
    const { data } = await api.octokit().rest.actions.listRepoWorkflows({ owner: 'Altinn', repo: 'old' });
    expect(data.total_count).toBe(1);
  });
});

describe('GET /repos/{owner}/{repo}/contents/{path}', () => {
  const content = (answer: { body: { content: string } }) =>
    Buffer.from(answer.body.content, 'base64').toString();

  test('lists the one workflow that there is by default, and shows its file', async () => {
    const { data: listed } = await api
      .octokit()
      .rest.repos.getContent({ ...OWNER_AND_REPO, path: DIRECTORY });
    expect(listed).toMatchObject([{ type: 'file', name: 'flux.yaml', path: DEFAULT_WORKFLOW }]);
    const file = await api.get(`${REPO}/contents/${DEFAULT_WORKFLOW}`);
    expect(file.body).toMatchObject({ type: 'file', encoding: 'base64', path: DEFAULT_WORKFLOW });
    expect(content(file)).toBe(DEFAULT_FILES[DEFAULT_WORKFLOW]);
    // Git's own id of this content.
    const empty = { [path('empty.yml')]: '' };
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': { files: empty } } });
    expect((await api.get(`${REPO}/contents/${path('empty.yml')}`)).body).toMatchObject({
      sha: 'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391',
      content: '',
    });
  });

  test('keeps every byte', async () => {
    const text = `\uFEFFname: "\u00e5 😀"\r\n\ton: ?\n${'x'.repeat(5000)}`;
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': { files: { [path('å b.yml')]: text } } } });
    const { body: listed } = await api.get(`${REPO}/contents/${DIRECTORY}`);
    expect(listed).toMatchObject([{ name: 'å b.yml', size: Buffer.byteLength(text) }]);
    const { pathname, search } = new URL(listed[0].url);
    expect(content(await api.get(`${pathname}${search}`))).toBe(text);
  });

  test('gives no content of a file over a megabyte', async () => {
    const files = { [path('large.yml')]: '#'.repeat(1024 * 1024 + 1) };
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': { files } } });
    expect((await api.get(`${REPO}/contents/${path('large.yml')}`)).body).toMatchObject({
      ...{ encoding: 'none', content: '', size: 1024 * 1024 + 1 },
    });
  });

  const files = {
    'README.md': '# hi',
    [path('a.yml')]: 'on: push',
    [path('b.yaml')]: 'on: push',
    'src/a/b': '',
  };
  const settings = { files, defaultBranch: 'trunk', otherBranches: { 'fix/it': { 'x.md': 'x' } } };

  test.each<[string, [type: string, path: string][]]>([
    [
      'contents',
      [
        ['dir', '.github'],
        ['file', 'README.md'],
        ['dir', 'src'],
      ],
    ],
    [
      'contents/',
      [
        ['dir', '.github'],
        ['file', 'README.md'],
        ['dir', 'src'],
      ],
    ],
    ['contents/.github', [['dir', '.github/workflows']]],
    [
      `contents/${DIRECTORY}/`,
      [
        ['file', path('a.yml')],
        ['file', path('b.yaml')],
      ],
    ],
    [
      'contents/.github%2Fworkflows?ref=trunk',
      [
        ['file', path('a.yml')],
        ['file', path('b.yaml')],
      ],
    ],
    ['contents/src?ref=refs/heads/trunk', [['dir', 'src/a']]],
    ['contents?ref=fix/it', [['file', 'x.md']]],
  ])('%s lists', async (address, entries) => {
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': settings } });
    const { status, body } = await api.get(`${REPO}/${address}`);
    expect(status).toBe(200);
    expect(body.map((entry: { type: string; path: string }) => [entry.type, entry.path])).toEqual(entries);
  });

  test.each([
    ['contents/.github/actions', 'Not Found'],
    ['contents/README', 'Not Found'],
    ['contents/readme.md', 'Not Found'],
    ['contents/README.md?ref=fix/it', 'Not Found'],
    ['contents/README.md?ref=main', 'No commit found for the ref main'],
  ])('%s is 404', async (address, message) => {
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': settings } });
    expect(await api.get(`${REPO}/${address}`)).toMatchObject({ status: 404, body: { message } });
  });

  test('of a repository without workflows is 404', async () => {
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': { files: {} } } });
    expect((await api.get(`${REPO}/contents/${DIRECTORY}`)).status).toBe(404);
    expect(await api.get(`${REPO}/contents`)).toMatchObject({ status: 200, body: [] });
    expect((await api.get(`${REPO}/actions/workflows`)).body).toEqual({ total_count: 0, workflows: [] });
  });
});

describe('GET /repos/{owner}/{repo}/actions/workflows', () => {
  test('lists what is registered: by state, also of other branches, also where the file is gone', async () => {
    api.stub.setActions({
      repositories: {
        'Altinn/dialogporten': {
          files: {
            [path('a.yml')]: 'name: A\non: push',
            [path('broken.yaml')]: 'on: [',
            [path('manual.yml')]: 'on: push',
            [path('idle.yml')]: 'on: push',
            [path('readme.md')]: '',
            [path('below/c.yml')]: 'on: push',
          },
          otherBranches: {
            topic: { [path('a.yml')]: 'name: Other\non: push', [path('new.yml')]: 'name: New' },
          },
          disabled: {
            [path('manual.yml')]: 'disabled_manually',
            [path('idle.yml')]: 'disabled_inactivity',
            [path('gone.yml')]: 'deleted',
          },
        },
      },
    });
    const { data } = await api.octokit().rest.actions.listRepoWorkflows(OWNER_AND_REPO);
    expect(data.workflows.map(({ path, name, state }) => [path, name, state])).toEqual([
      [path('a.yml'), 'A', 'active'],
      [path('broken.yaml'), path('broken.yaml'), 'active'],
      [path('manual.yml'), path('manual.yml'), 'disabled_manually'],
      [path('idle.yml'), path('idle.yml'), 'disabled_inactivity'],
      [path('new.yml'), path('new.yml'), 'active'],
      [path('gone.yml'), path('gone.yml'), 'deleted'],
    ]);
    expect(new Set(data.workflows.map(({ id }) => id)).size).toBe(6);
  });

  test('in pages, as Octokit reads them', async () => {
    const files = Object.fromEntries(Array.from({ length: 130 }, (_, i) => [path(`w${i}.yml`), 'on: push']));
    api.stub.setActions({ repositories: { 'Altinn/dialogporten': { files } } });
    const octokit = api.octokit();
    const all = await octokit.paginate(octokit.rest.actions.listRepoWorkflows, { ...OWNER_AND_REPO });
    expect(all).toHaveLength(130);
    expect(api.stub.requests.get('GET /repos/{owner}/{repo}/actions/workflows 200')).toBe(5);
  });
});

test('GET /repos/{owner}/{repo}/actions/permissions tells whether Actions is enabled', async () => {
  const repositories = { 'Altinn/off': { actionsDisabled: true } };
  api.stub.setActions({ administration: 'read', repositories });
  const headers = { authorization: `token ${await api.newToken()}` };
  const setting = (repo: string) => api.get(`${repo}/actions/permissions`, headers);
  expect((await setting(REPO)).body).toMatchObject({ enabled: true, allowed_actions: 'all' });
  expect((await setting('/repos/Altinn/off')).body).toEqual({ enabled: false });
  // Taken away: a token that was issued with it does not help.
  api.stub.setActions({ repositories });
  expect(await setting('/repos/Altinn/off')).toMatchObject({
    ...{ status: 403, body: { message: 'Resource not accessible by integration' } },
  });
});

describe('who may read what', () => {
  const ROUTES = [
    ['', 'metadata=read'],
    ['/contents/.github', 'contents=read'],
    ['/actions/runs', 'actions=read'],
    ['/actions/runs/1', 'actions=read'],
    ['/actions/permissions', 'administration=read'],
    ['/actions/workflows', 'actions=read'],
  ] as const;

  test.each(ROUTES)('%j asks for an installation token and a repository that is there', async route => {
    expect(await api.get(`${REPO}${route}`, { authorization: 'token ghs_none' })).toMatchObject({
      ...{ status: 401, body: { message: 'Bad credentials' } },
    });
    api.stub.setRepositories({ absent: ['Altinn/dialogporten'] });
    for (const repo of ['/repos/altinn/Dialogporten', '/repos/Digdir/x', '/repos/Altinn/..%2f..']) {
      const answer = await api.get(`${repo}${route}`);
      expect(answer, repo).toMatchObject({ status: 404, body: { message: 'Not Found' } });
    }
    api.stub.setInstallations({ suspended: ['Altinn'] });
    expect(await api.get(`${REPO}${route}`)).toMatchObject({
      ...{ status: 403, body: { message: 'This installation has been suspended' } },
    });
  });

  test.each(ROUTES)('%j needs a token with %s', async (route, needed) => {
    const [permission = ''] = needed.split('=');
    api.stub.setActions({ administration: 'read' });
    const held = { actions: 'read', administration: 'read', contents: 'read', metadata: 'read' };
    const others = Object.fromEntries(Object.entries(held).filter(([name]) => name !== permission));
    const authorization = `token ${await api.newToken(others)}`;
    expect(await api.get(`${REPO}${route}`, { authorization })).toMatchObject({
      status: 403,
      headers: { 'x-accepted-github-permissions': needed },
      body: { message: 'Resource not accessible by integration' },
    });
  });

  test('an App without Actions sees no runs, with tokens of before either, and dispatches on', async () => {
    await api.put('/_stub/actions', { permission: 'none' });
    await expect(api.newToken({ actions: 'read' })).rejects.toThrow('not granted');
    for (const token of [undefined, await api.newToken()]) {
      const headers = token === undefined ? {} : { authorization: `token ${token}` };
      expect((await api.get(`${REPO}/actions/runs`, headers)).status).toBe(403);
      expect((await api.get(`${REPO}/contents/${DIRECTORY}`, headers)).status).toBe(200);
    }
    await api.dispatch('1');
    expect(api.stub.runs).toHaveLength(1);
    // Granted again: a token that was issued without stays without.
    const without = `token ${await api.newToken()}`;
    await api.put('/_stub/actions', {});
    expect((await api.get(`${REPO}/actions/runs`)).status).toBe(200);
    expect((await api.get(`${REPO}/actions/runs`, { authorization: without })).status).toBe(403);
  });
});

test.each<[unknown, string]>([
  [[], 'expected object'],
  [{ permission: 'write' }, 'permission'],
  [{ administration: true }, 'administration'],
  [{ runs: { delay: 1 } }, '"delay"'],
  [{ repositories: { dialogporten: {} } }, 'the key must be "owner/name"'],
  [{ repositories: { 'A/b': { files: { '/x': '' } } } }, 'the key must be a path from the root'],
  [{ repositories: { 'A/b': { files: { x: 1 } } } }, 'expected string'],
  [{ repositories: { 'A/b': { disabled: { x: 'off' } } } }, 'disabled'],
  [
    { repositories: { 'A/b': { runsByWorkflow: { 'x.yml': {} } } } },
    'there is no x.yml on the default branch',
  ],
])('PUT /_stub/actions %j says what is wrong', async (settings, fault) => {
  const answer = await api.put('/_stub/actions', settings);
  expect(answer.status).toBe(400);
  expect(answer.body.message).toContain(fault);
});

test('the answers are as GitHub’s own description says, and so are Octokit’s requests for them', async () => {
  const github = readGitHubDescription('2026-03-10');
  api.stub.setActions({
    administration: 'read',
    repositories: { 'Altinn/off': { actionsDisabled: true } },
  });
  const authorization = `token ${await api.newToken()}`;
  const setting = (repo: string) => api.get(`${repo}/actions/permissions`, { authorization });
  const workflows = (await api.get(`${REPO}/actions/workflows`)).body.workflows;
  const directory = (await api.get(`${REPO}/contents/${DIRECTORY}`)).body;
  for (const [schema, value] of [
    ['full-repository', (await api.get(REPO)).body],
    ['workflow', workflows[0]],
    ['actions-repository-permissions', (await setting(REPO)).body],
    ['actions-repository-permissions', (await setting('/repos/Altinn/off')).body],
    ['content-directory', directory],
    ['content-directory', (await api.get(`${REPO}/contents`)).body],
    ['content-file', (await api.get(`${REPO}/contents/${DEFAULT_WORKFLOW}`)).body],
    ['basic-error', (await api.get(`${REPO}/contents/none`)).body],
  ] as const) {
    expect(github.valueFaults(schema, value)).toEqual([]);
  }
  for (const [address, operation] of [
    [REPO, 'repos/get'],
    [`${REPO}/contents/.github/workflows`, 'repos/get-content'],
    [`${REPO}/contents/.github%2Fworkflows?ref=main`, 'repos/get-content'],
    [`${REPO}/actions/workflows?per_page=100&page=2`, 'actions/list-repo-workflows'],
    [`${REPO}/actions/permissions`, 'actions/get-github-actions-permissions-repository'],
    [
      `${REPO}/actions/runs?event=repository_dispatch&created=%3E%3D2026-11-21T10:00:00Z&per_page=100`,
      'actions/list-workflow-runs-for-repo',
    ],
  ]) {
    const request = { method: 'GET', path: address ?? '', headers: {}, body: Buffer.alloc(0) };
    expect(github.checkRequest(request)).toEqual({ operation, faults: [] });
  }
});
