import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger } from '@flux-dispatch/runtime/log';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FindingCode } from './finding.ts';
import { createGitHub } from './github.ts';
import { parsePrivateKey } from './private-key.ts';
import type { RateLimit } from './verdict.ts';

const REPO = 'Altinn/dialogporten';
const LISTENS = 'on:\n  repository_dispatch:\n    types: [flux-deploy]\njobs: {}\n';
const PUSH = 'on: push\njobs: {}\n';

const R = `/repos/${REPO}`;
const FOLDER = `${R}/contents/.github/workflows`;
const REGISTERED = `${R}/actions/workflows`;
const PERMISSIONS = `${R}/actions/permissions`;
const INSTALLATION = `${R}/installation`;
const TOKEN = '/app/installations/1001/access_tokens';

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const refusal = (status: number, message: string, headers = {}): Answer => ({
  status,
  headers,
  body: { message },
});
// In the place of a status: what is no answer.
const CUT = 0;
const SILENT = -1;

const NOT_FOUND = refusal(404, 'Not Found');
const NO_PERMISSION = refusal(403, 'Resource not accessible by integration');

/** GitHub's answers by path for a repository whose default branch has these workflow files, all of them active. */
function answersFor(files: Readonly<Record<string, string>>): Record<string, Answer> {
  const names = Object.keys(files);
  const entries = names.map(name => ({ type: 'file', name, size: files[name]?.length }));
  const workflows = names
    .filter(name => name.endsWith('ml'))
    .map((name, id) => ({ id, path: `.github/workflows/${name}`, state: 'active' }));
  return {
    [INSTALLATION]: { body: { id: 1001, account: { login: 'Altinn' } } },
    [TOKEN]: {
      status: 201,
      body: { token: 'ghs_t', expires_at: new Date(Date.now() + 3_600_000).toISOString(), permissions: {} },
    },
    [R]: { body: { full_name: REPO, default_branch: 'trunk', archived: false, disabled: false } },
    [REGISTERED]: { body: { total_count: workflows.length, workflows } },
    [PERMISSIONS]: NO_PERMISSION,
    [FOLDER]: { body: entries },
    ...Object.fromEntries(
      names.map(name => [`${FOLDER}/${encodeURIComponent(name)}`, content(files[name] ?? '')]),
    ),
  };
}

const content = (text: string): Answer => ({
  body: { type: 'file', encoding: 'base64', content: Buffer.from(text).toString('base64') },
});

let credentials: Credentials;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterAll(() => credentials[Symbol.asyncDispose]());

/** A GitHub with these answers, 404 for any other path, and the door to it. */
async function openDoor(answers: Readonly<Record<string, Answer>>, { timeoutMs = 10_000 } = {}) {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const { pathname, search } = new URL(request.url ?? '', 'http://github');
    requests.push(pathname + search);
    const { status = 200, headers = {}, body } = answers[pathname] ?? NOT_FOUND;
    if (status === CUT) return request.socket.destroy();
    if (status === SILENT) return undefined;
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    return response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const exhausted: RateLimit[] = [];
  const privateKey = readFileSync(credentials.privateKeyPath);
  const github = createGitHub({
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ apiVersion: '2026-03-10', appId: credentials.appId, timeoutMs },
    privateKey: async () => parsePrivateKey(privateKey),
    onExhausted: limit => void exhausted.push(limit),
    log: createLogger('test', 'fatal'),
  });
  return {
    ...{ requests, exhausted },
    diagnose: (mayCall?: () => Promise<boolean>) => github.diagnose(REPO, 'flux-deploy', mayCall),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

test('the calls: one after the other, and none after a workflow that listens but for the last question', async () => {
  await using door = await openDoor(answersFor({ 'a.yml': PUSH, 'b.yaml': LISTENS, 'c.yaml': PUSH }));
  expect(await door.diagnose()).toEqual({
    kind: 'finding',
    finding: {
      code: 'not_started',
      message: expect.stringMatching(/b\.yaml" on the default branch "trunk"/),
    },
  });
  expect(door.requests).toEqual([
    ...[INSTALLATION, TOKEN, R, `${REGISTERED}?per_page=100`],
    ...[`${FOLDER}?ref=trunk`, `${FOLDER}/a.yml?ref=trunk`, `${FOLDER}/b.yaml?ref=trunk`, PERMISSIONS],
  ]);
});

test('after a workflow whose run would not have been recognized, the next one is read', async () => {
  const unnamed = `run-name: E2E\n${LISTENS}`;
  await using door = await openDoor(answersFor({ 'a.yml': unnamed, 'b.yaml': PUSH }));
  expect(await door.diagnose()).toMatchObject({ finding: { code: 'run_not_recognized' } });
  expect(door.requests.slice(-3)).toEqual([
    ...[`${FOLDER}/a.yml?ref=trunk`, `${FOLDER}/b.yaml?ref=trunk`, PERMISSIONS],
  ]);
  await using other = await openDoor(answersFor({ 'a.yml': unnamed, 'b.yaml': LISTENS }));
  expect(await other.diagnose()).toMatchObject({ finding: { code: 'not_started' } });
});

describe('what GitHub answers, and what it means', () => {
  const listens = { 'a.yaml': LISTENS };
  const disabled = [{ path: '.github/workflows/a.yaml', state: 'disabled_manually' }];
  const large = `on: push\n# ${'x'.repeat(900_000)}\njobs: {}\n`;

  test.each<
    [
      name: string,
      files: Record<string, string>,
      answers: Record<string, Answer>,
      code: FindingCode,
      message: RegExp,
    ]
  >([
    [
      'another type',
      { 'a.yaml': LISTENS.replace('flux-deploy', 'nightly') },
      {},
      'not_listening',
      /"nightly"/,
    ],
    ['type', { 'a.yaml': LISTENS.replace('types', 'type') }, {}, 'types_misspelt', /line 3/],
    [
      'a disabled workflow',
      listens,
      { [REGISTERED]: { body: { total_count: 1, workflows: disabled } } },
      'workflow_disabled',
      /Enable workflow/,
    ],
    [
      'another branch',
      { 'a.yaml': PUSH },
      {
        [REGISTERED]: {
          body: { total_count: 1, workflows: [{ path: '.github/workflows/flux.yaml', state: 'active' }] },
        },
      },
      'other_branch',
      /flux\.yaml/,
    ],
    ['broken YAML', { 'a.yaml': 'on: [repository_dispatch' }, {}, 'workflow_invalid', /line 1/],
    ['no folder', {}, { [FOLDER]: NOT_FOUND }, 'no_workflows', /no workflow file/],
    ['a file for the folder', {}, { [FOLDER]: content('x') }, 'no_workflows', /no workflow file/],
    [
      'Actions off, and the App may see it',
      listens,
      { [PERMISSIONS]: { body: { enabled: false } } },
      'actions_disabled',
      /Enable it/,
    ],
    [
      'Actions on, and the App may see it',
      listens,
      { [PERMISSIONS]: { body: { enabled: true } } },
      'not_started',
      /Actions tab, and see https/,
    ],
    [
      'Actions off by its message',
      listens,
      { [REGISTERED]: refusal(422, 'Actions has been disabled for this repository.') },
      'actions_disabled',
      /Enable it/,
    ],
    ['no Actions', listens, { [REGISTERED]: NOT_FOUND }, 'actions_disabled', /or for its organization/],
    [
      'an archived repository',
      listens,
      { [R]: { body: { full_name: REPO, default_branch: 'main', archived: true } } },
      'repository_archived',
      /Unarchive/,
    ],
    ['a deleted repository', listens, { [R]: NOT_FOUND }, 'repository_missing', /deleted/],
    ['no installation', listens, { [INSTALLATION]: NOT_FOUND }, 'repository_missing', /install the App/],
    [
      'another owner',
      listens,
      { [INSTALLATION]: { body: { id: 7, account: { login: 'Digdir' } } } },
      'repository_moved',
      /Digdir/,
    ],
    [
      'a suspended installation',
      listens,
      { [TOKEN]: refusal(403, 'This installation has been suspended') },
      'app_suspended',
      /is suspended on .*can unsuspend it/,
    ],
    [
      'no permission for the repository',
      listens,
      { [R]: NO_PERMISSION },
      'permission_missing',
      /Metadata: read/,
    ],
    [
      'no permission for the files',
      listens,
      { [FOLDER]: NO_PERMISSION },
      'permission_missing',
      /Contents: read/,
    ],
    [
      'no permission for Actions',
      listens,
      { [REGISTERED]: NO_PERMISSION },
      'permission_missing',
      /Actions: read/,
    ],
    [
      'no permission for a file',
      { 'a.yaml': PUSH, 'b.yaml': PUSH },
      { [`${FOLDER}/b.yaml`]: NO_PERMISSION },
      'unknown',
      /b\.yaml" could not be read/,
    ],
    [
      'a file that is gone by then',
      { 'a.yaml': LISTENS, 'b.yaml': PUSH },
      { [`${FOLDER}/a.yaml`]: NOT_FOUND },
      'not_listening',
      /No workflow/,
    ],
    [
      '502',
      listens,
      { [R]: refusal(502, 'Server Error') },
      'unknown',
      /answered 502: Server Error \(repository\)/,
    ],
    [
      '502 for the states',
      listens,
      { [REGISTERED]: refusal(502, '') },
      'unknown',
      /answered 502 \(workflows\)/,
    ],
    ['a connection that is cut', listens, { [FOLDER]: { status: CUT } }, 'unknown', /cannot be reached/],
    [
      'an App that GitHub does not know',
      listens,
      { [INSTALLATION]: refusal(404, 'Integration not found') },
      'unknown',
      /Integration not found/,
    ],
    [
      'a page of a proxy',
      listens,
      { [R]: { body: '<html>Sign in</html>' } },
      'unknown',
      /between the dispatcher and GitHub/,
    ],
    [
      'an answer of something else',
      listens,
      { [R]: { body: { id: 1 } } },
      'unknown',
      /between the dispatcher and GitHub/,
    ],
    [
      'an answer of half the shape',
      listens,
      { [R]: { body: { default_branch: 'main' } } },
      'unknown',
      /between the dispatcher and GitHub/,
    ],
    [
      'a list that is none',
      listens,
      { [REGISTERED]: { body: { workflows: {} } } },
      'unknown',
      /answered 200 \(workflows\)/,
    ],
    [
      'a list of nonsense',
      { 'a.yaml': PUSH },
      { [REGISTERED]: { body: { workflows: [null, 7, { path: 7 }] } } },
      'not_listening',
      /No workflow/,
    ],
    [
      'a folder of nonsense',
      {},
      { [FOLDER]: { body: [null, 7, { name: 7 }] } },
      'no_workflows',
      /no workflow file/,
    ],
    [
      'a file without content',
      { 'a.yaml': LISTENS },
      { [`${FOLDER}/a.yaml`]: { body: { type: 'file', encoding: 'none', content: '' } } },
      'unknown',
      /could not be read/,
    ],
    ['a file whose name is special', { 'é ?#%2F.yaml': LISTENS }, {}, 'not_started', /é \?#%2F\.yaml/],
    ['a file near the limit', { 'a.yaml': large, 'b.yaml': LISTENS }, {}, 'not_started', /b\.yaml/],
    ['a file over the limit', { 'a.yaml': large + large }, {}, 'unknown', /over 1 MiB/],
    ['a file that is no workflow', { 'README.md': LISTENS }, {}, 'no_workflows', /no workflow file/],
  ])('%s', async (_, files, answers, code, message) => {
    await using door = await openDoor({ ...answersFor(files), ...answers });
    const finding = { code, message: expect.stringMatching(message) };
    expect(await door.diagnose()).toEqual({ kind: 'finding', finding });
  });

  test('a renamed repository is followed', async () => {
    const answers = answersFor(listens);
    const target = { location: '/repositories/7' };
    await using door = await openDoor({
      ...{ ...answers, [R]: { status: 301, headers: target, body: {} } },
      '/repositories/7': { body: { full_name: 'Altinn/new', default_branch: 'trunk' } },
    });
    expect(await door.diagnose()).toMatchObject({
      finding: { code: 'not_started', message: expect.stringContaining('of Altinn/new listens') },
    });
  });

  test('no answer in time', async () => {
    const answers = { ...answersFor(listens), [FOLDER]: { status: SILENT } };
    await using door = await openDoor(answers, { timeoutMs: 500 });
    expect(await door.diagnose()).toMatchObject({
      finding: { code: 'unknown', message: expect.stringContaining('did not answer in time') },
    });
  });
});

describe('no more than a hundred files', () => {
  const many = Array.from({ length: 101 }, (_, i) => `${String(i).padStart(3, '0')}.yaml`);
  const files = Object.fromEntries(many.map(name => [name, PUSH]));

  test('are read', async () => {
    await using door = await openDoor(answersFor({ ...files, '100.yaml': LISTENS }));
    expect(await door.diagnose()).toMatchObject({
      finding: { code: 'unknown', message: expect.stringContaining('first 100 workflows') },
    });
    expect(door.requests.filter(path => path.includes('.yaml'))).toHaveLength(100);
  });
});

describe('a rate limit goes to the caller', () => {
  const CALLS: [string, string][] = [
    ['the installation', INSTALLATION],
    ['the token', TOKEN],
    ['the repository', R],
    ['the states', REGISTERED],
    ['the folder', FOLDER],
    ['a file', `${FOLDER}/a.yaml`],
    ['the permissions', PERMISSIONS],
  ];

  test.each(CALLS)('for %s', async (_, path) => {
    const limit = refusal(403, 'You have exceeded a secondary rate limit', { 'retry-after': '30' });
    await using door = await openDoor({ ...answersFor({ 'a.yaml': LISTENS }), [path]: limit });
    expect(await door.diagnose()).toEqual({ kind: 'limited', limit: { kind: 'secondary', waitMs: 30_000 } });
    // Nothing is asked after it.
    expect(door.requests.at(-1)?.split('?')[0]).toBe(path);
  });

  test('also where a refusal of another kind says that no call is left', async () => {
    const last = refusal(404, 'Not Found', { 'x-ratelimit-remaining': '0' });
    await using door = await openDoor({ ...answersFor({}), [FOLDER]: last });
    expect(await door.diagnose()).toEqual({ kind: 'limited', limit: { kind: 'primary', waitMs: undefined } });
  });

  test('an answer with content has its own way', async () => {
    const answers = answersFor({ 'a.yaml': LISTENS });
    const last = { ...answers[REGISTERED], headers: { 'x-ratelimit-remaining': '0' } };
    await using door = await openDoor({ ...answers, [REGISTERED]: last });
    expect(await door.diagnose()).toMatchObject({ kind: 'finding' });
    expect(door.exhausted).toEqual([{ kind: 'primary', waitMs: undefined }]);
  });
});

describe('mayCall', () => {
  const answers = () => answersFor({ 'a.yaml': PUSH, 'b.yaml': LISTENS });

  test.each([0, 1, 2, 3, 4, 5])('that says no after %i calls holds it', async calls => {
    await using door = await openDoor(answers());
    let asked = 0;
    expect(await door.diagnose(async () => asked++ < calls)).toEqual({ kind: 'held' });
    expect(asked).toBe(calls + 1);
    expect(door.requests.filter(path => path.startsWith('/repos') && path !== INSTALLATION)).toHaveLength(
      calls,
    );
  });

  test('that rejects is passed on', async () => {
    await using door = await openDoor(answers());
    await expect(door.diagnose(() => Promise.reject(new Error('Redis is away')))).rejects.toThrow(
      'Redis is away',
    );
    expect(door.requests).toEqual([]);
  });
});
