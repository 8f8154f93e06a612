import { readFile, writeFile } from 'node:fs/promises';
import { type GitHubStubOptions, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createLogger } from '@flux-dispatch/runtime/log';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { startRecordingProxy } from '@flux-dispatch/testbed/recording-proxy';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { AppOptions } from './app.ts';
import { createGitHub } from './github.ts';
import { parsePrivateKey } from './private-key.ts';
import type { ErrorCode, Verdict } from './verdict.ts';

const LOOK_UP = 'GET /repos/Altinn/dialogporten/installation';
const TOKEN = 'POST /app/installations/1001/access_tokens';
const DISPATCH = 'POST /repos/Altinn/dialogporten/dispatches';
const OWNERS = { Altinn: 1001, Digdir: 1002 };
const SECONDS = 1000;
const MINUTES = 60 * SECONDS;

let credentials: Credentials;
beforeAll(async () => {
  credentials = await createCredentials();
});
afterAll(() => credentials[Symbol.asyncDispose]());

// Time is what tokens and keys go by; only the date is moved, timers are real.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());
const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

interface Desk extends AsyncDisposable {
  readonly stub: Awaited<ReturnType<typeof startGitHubStub>>;
  readonly proxy: Awaited<ReturnType<typeof startRecordingProxy>>;
  attempt(repo?: string): Promise<Verdict>;
  /** Sends a dispatch once: the status of GitHub's answer, or why there is none. */
  send(repo?: string): Promise<ErrorCode>;
  /** The calls on the wire since it was last asked, such as "GET /app". */
  calls(): string[];
}

async function desk(options: Partial<AppOptions> = {}, stubOptions: Partial<GitHubStubOptions> = {}) {
  await using stack = new AsyncDisposableStack();
  const now = () => Date.now();
  const stub = stack.use(await startGitHubStub({ ...credentials.stub, owners: OWNERS, now, ...stubOptions }));
  const proxy = stack.use(await startRecordingProxy(stub.url));
  const github = createGitHub({
    apiUrl: proxy.url,
    appId: credentials.appId,
    privateKey: reloadedFile(credentials.privateKeyPath, parsePrivateKey),
    timeoutMs: 10 * SECONDS,
    onExhausted: () => undefined,
    log: createLogger('test', 'fatal'),
    ...options,
  });
  const attempt = (repo = 'Altinn/dialogporten') =>
    github.attempt({ repo, event_type: 'flux-deploy', payload: { product: 'dialogporten' } });
  let seen = 0;
  const started = stack.move();
  return {
    stub,
    proxy,
    attempt,
    send: async (repo?: string) => (await attempt(repo)).code,
    calls() {
      const calls = proxy.requests.slice(seen).map(({ method, path }) => `${method} ${path}`);
      seen = proxy.requests.length;
      return calls;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  } satisfies Desk;
}

describe('the installation and its token', () => {
  test('are asked for once for an owner, in whatever case, also by dispatches at the same time', async () => {
    await using d = await desk();
    const repos = ['Altinn/dialogporten', 'altinn/correspondence', 'ALTINN/Dialogporten'];
    expect(await Promise.all(repos.map(d.send))).toEqual(['204', '204', '204']);
    expect(await d.send()).toBe('204');
    expect(d.calls().slice(0, 2)).toEqual([LOOK_UP, TOKEN]);
    expect(d.stub.requests).toEqual(
      new Map([
        ['GET /repos/{owner}/{repo}/installation 200', 1],
        ['POST /app/installations/{installation_id}/access_tokens 201', 1],
        ['POST /repos/{owner}/{repo}/dispatches 204', 4],
      ]),
    );
  });

  test('are other ones for another owner', async () => {
    await using d = await desk();
    await d.send();
    d.calls();
    expect(await d.send('Digdir/roadmap')).toBe('204');
    expect(d.calls()).toEqual([
      'GET /repos/Digdir/roadmap/installation',
      'POST /app/installations/1002/access_tokens',
      'POST /repos/Digdir/roadmap/dispatches',
    ]);
  });

  test('GITHUB_INSTALLATION_ID given: it is not looked up', async () => {
    await using d = await desk({ installationId: OWNERS.Altinn });
    expect([await d.send(), await d.send()]).toEqual(['204', '204']);
    expect(d.calls()).toEqual([TOKEN, DISPATCH, DISPATCH]);
  });

  test('a token is renewed before it expires', async () => {
    await using d = await desk();
    await d.send();
    pass(58 * MINUTES);
    await d.send();
    d.calls();
    pass(1.5 * MINUTES);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([TOKEN, DISPATCH]);
  });

  test('a token that has expired early is replaced within the attempt', async () => {
    await using d = await desk({}, { tokenTtlMs: 10 * SECONDS });
    await d.send();
    d.calls();
    pass(11 * SECONDS);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, TOKEN, DISPATCH]);
  });

  test('so is one that was revoked, by each of the dispatches that had it', async () => {
    await using d = await desk();
    await d.send();
    d.stub.clear();
    d.stub.revokeTokens();
    pass(5 * SECONDS);
    expect(await Promise.all(Array.from({ length: 4 }, () => d.send()))).toEqual([
      '204',
      '204',
      '204',
      '204',
    ]);
    expect(d.stub.dispatches).toHaveLength(4);
    expect(d.stub.requests.get('GET /repos/{owner}/{repo}/installation 200')).toBe(1);
    expect(d.stub.requests.get('POST /app/installations/{installation_id}/access_tokens 201')).toBe(1);
  });

  test('a token that is refused although it is fresh: 401, after one more try', async () => {
    await using d = await desk();
    await d.send();
    d.calls();
    pass(5 * SECONDS);
    d.stub.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: { status: 401 } }]);
    const sent = d.send();
    // For a token under 5 s old, Octokit itself tries again.
    const refused = () => d.stub.requests.get('POST /repos/{owner}/{repo}/dispatches 401');
    await until('the fresh token is refused', () => refused() === 2);
    pass(5 * SECONDS);
    expect(await sent).toBe('401');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, TOKEN, DISPATCH, DISPATCH]);
  });

  test.each([
    ['while its token is cached', 5 * SECONDS, [DISPATCH]],
    ['once its token is to be renewed', 59.5 * MINUTES, [TOKEN]],
  ])('an App that was installed anew is looked up again within the attempt, %s', async (_, ms, refused) => {
    await using d = await desk();
    await d.send();
    d.calls();
    await using renewed = await startGitHubStub({
      ...credentials.stub,
      owners: { Altinn: 2002 },
      now: () => Date.now(),
    });
    d.proxy.forwardTo(renewed.url);
    pass(ms);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([...refused, LOOK_UP, TOKEN.replace('1001', '2002'), DISPATCH]);
    expect(renewed.dispatches).toHaveLength(1);
  });
});

describe('what is refused', () => {
  test('a repository without the App says nothing about the others of its owner', async () => {
    await using d = await desk();
    d.stub.setRepositories({ absent: ['Altinn/typo', 'Altinn/gone'] });
    const repos = ['Altinn/typo', 'Altinn/dialogporten', 'Altinn/gone', 'Altinn/correspondence'];
    expect(await Promise.all(repos.map(d.send))).toEqual(['404', '204', '404', '204']);
  });

  test('404 evicts what was cached', async () => {
    await using d = await desk();
    await d.send();
    d.calls();
    d.stub.setRepositories({ absent: ['Altinn/dialogporten'] });
    expect(await d.send()).toBe('404');
    d.stub.setRepositories({ absent: [] });
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, TOKEN, DISPATCH]);
  });

  test.each([
    ['not installed', { notInstalled: ['Altinn'] }, '404', [LOOK_UP]],
    ['suspended', { suspended: ['Altinn'] }, '403', [LOOK_UP, TOKEN]],
  ])('an App that is %s is so until somebody changes it', async (_, settings, status, calls) => {
    await using d = await desk();
    d.stub.setInstallations(settings);
    expect(await d.send()).toBe(status);
    expect(d.calls()).toEqual(calls);
    d.stub.setInstallations({});
    expect(await d.send()).toBe('204');
  });
});

describe('what goes wrong on the way', () => {
  test.each([
    ['the look-up', { method: 'GET', path: '/repos/' }],
    ['the token', { path: '/app/installations/' }],
    ['the dispatch', { method: 'POST', path: '/repos/' }],
  ])('with %s is over with the attempt', async (_, match) => {
    await using d = await desk();
    d.stub.setFaults([{ match, times: 1, action: { drop: true } }]);
    expect([await d.send(), await d.send()]).toEqual(['network', '204']);

    await using slow = await desk({ timeoutMs: SECONDS });
    slow.stub.setFaults([{ match, times: 1, action: { latencyMs: MINUTES } }]);
    expect(await slow.send()).toBe('timeout');
    await until('it is over', async () => (await slow.send()) === '204');
  });

  test('the time is for the attempt with all its calls', async () => {
    await using d = await desk({ timeoutMs: 1000 });
    // The second call is under way when the time is over.
    d.stub.setFaults([{ action: { latencyMs: 700 } }]);
    expect(await d.send()).toBe('timeout');
    expect(d.stub.dispatches).toEqual([]);
  });

  test('a token that does not come holds up no other owner', async () => {
    await using d = await desk({ timeoutMs: MINUTES });
    d.stub.setFaults([{ match: { path: '/app/installations/1001/' }, action: { latencyMs: MINUTES } }]);
    const ended: unknown[] = [];
    const hanging = [1, 2, 3].map(() => d.send().then(status => ended.push(status)));
    await d.send('Digdir/roadmap').then(status => ended.push(status));
    expect(ended).toEqual(['204']);
    await d.stub.close();
    await Promise.all(hanging);
    expect(ended).toEqual(['204', 'network', 'network', 'network']);
  });
});

// The App and its installation each have a limit: the look-up and the token count for one, the dispatch for the other.
test.each<[string, number, Partial<AppOptions>, string[], Partial<Verdict>]>([
  ['that for the token', 2, {}, ['primary'], { kind: 'delivered', limit: undefined }],
  ['the look-up, so the token is refused', 1, {}, ['primary'], { kind: 'pause', code: '403' }],
  [
    'those for the token and the dispatch, whose verdict says so itself',
    1,
    { installationId: OWNERS.Altinn },
    ['primary'],
    { kind: 'delivered', limit: { kind: 'primary', waitMs: expect.any(Number) } },
  ],
])('the last call within a limit is reported: %s', async (_, limit, options, exhausted, verdict) => {
  const limits: string[] = [];
  await using d = await desk({ ...options, onExhausted: ({ kind }) => limits.push(kind) });
  d.stub.setRateLimit({ limit, windowMs: MINUTES });
  expect(await d.attempt()).toMatchObject(verdict);
  expect(limits).toEqual(exhausted);
});

describe("the App's key", () => {
  test('when it is rotated: the new one is used from when it is read, also where there are tokens yet', async () => {
    await using own = await createCredentials();
    await using next = await createCredentials();
    const { privateKeyPath } = own;
    await using d = await desk({ privateKey: reloadedFile(privateKeyPath, parsePrivateKey) }, own.stub);
    expect(await d.send()).toBe('204');

    await writeFile(privateKeyPath, await readFile(next.privateKeyPath));
    d.stub.setKeys(next.stub.publicKeys);
    pass(10 * SECONDS);
    d.calls();
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([LOOK_UP, TOKEN, DISPATCH]);
  });

  test('when it is taken away first: 401, until the new one is there', async () => {
    await using own = await createCredentials();
    await using next = await createCredentials();
    const { privateKeyPath } = own;
    await using d = await desk({ privateKey: reloadedFile(privateKeyPath, parsePrivateKey) }, own.stub);
    d.stub.setKeys(next.stub.publicKeys);
    expect(await d.send()).toBe('401');
    await writeFile(privateKeyPath, await readFile(next.privateKeyPath));
    expect(await d.send()).toBe('401');
    pass(10 * SECONDS);
    expect(await d.send()).toBe('204');
  });

  test('is asked for again while it cannot be read, and nothing is sent', async () => {
    await using own = await createCredentials();
    const { privateKeyPath } = own;
    await using d = await desk({ privateKey: reloadedFile(privateKeyPath, parsePrivateKey) }, own.stub);
    const key = await readFile(privateKeyPath);
    await writeFile(privateKeyPath, 'half of a k');
    expect(await d.attempt()).toMatchObject({
      ...{ kind: 'retry', code: 'auth', message: expect.stringContaining('GITHUB_PRIVATE_KEY_PATH') },
    });
    expect(d.calls()).toEqual([]);
    await writeFile(privateKeyPath, key);
    expect(await d.send()).toBe('204');
  });
});
