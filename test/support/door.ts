import type { AppOptions } from '@flux-dispatch/github/app';
import { createGitHub, type GitHub } from '@flux-dispatch/github/github';
import { parsePrivateKey } from '@flux-dispatch/github/private-key';
import type { ErrorCode, Verdict } from '@flux-dispatch/github/verdict';
import { type GitHubStubOptions, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createLogger } from '@flux-dispatch/runtime/log';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { startRecordingProxy } from '@flux-dispatch/testbed/recording-proxy';
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest';

export const OWNERS = { Altinn: 1001, Digdir: 1002 };

// What `calls` says of a dispatch to Altinn/dialogporten.
export const LOOK_UP = 'GET /repos/Altinn/dialogporten/installation';
export const TOKEN = 'POST /app/installations/1001/access_tokens';
export const DISPATCH = 'POST /repos/Altinn/dialogporten/dispatches';

export const SECONDS = 1000;
export const MINUTES = 60 * SECONDS;
/** Moves the date on. Tokens and keys go by it; timers are real. */
export const pass = (ms: number) => vi.setSystemTime(Date.now() + ms);

/** The door to GitHub, with a stand-in behind it and a recording of the calls between them. */
export interface Door extends AsyncDisposable {
  readonly stub: Awaited<ReturnType<typeof startGitHubStub>>;
  readonly proxy: Awaited<ReturnType<typeof startRecordingProxy>>;
  readonly github: GitHub;
  attempt(repo?: string): Promise<Verdict>;
  /** Sends a dispatch once: the status of GitHub's answer, or why there is none. */
  send(repo?: string): Promise<ErrorCode>;
  /** The calls on the wire since it was last asked, such as "GET /app". */
  calls(): string[];
}

type DoorOptions = Partial<AppOptions> & { readonly mayGo?: () => Promise<boolean> };

async function openDoorAs(
  credentials: Credentials,
  options: DoorOptions = {},
  stubOptions: Partial<GitHubStubOptions> = {},
): Promise<Door> {
  await using stack = new AsyncDisposableStack();
  const now = () => Date.now();
  const stub = stack.use(await startGitHubStub({ ...credentials.stub, owners: OWNERS, now, ...stubOptions }));
  const proxy = stack.use(await startRecordingProxy(stub.url));
  const github = createGitHub({
    ...{ apiUrl: proxy.url, apiVersion: '2026-03-10', appId: credentials.appId },
    now,
    privateKey: reloadedFile(credentials.privateKeyPath, parsePrivateKey),
    timeoutMs: 10_000,
    onExhausted: () => undefined,
    log: createLogger('test', 'fatal'),
    ...options,
  });
  const attempt = async (repo = 'Altinn/dialogporten') => {
    const dispatch = { repo, event_type: 'flux-deploy', payload: { product: 'dialogporten' } };
    const verdict = await github.attempt(dispatch, options.mayGo);
    if (verdict === 'held') throw new Error('It was held');
    return verdict;
  };
  let seen = 0;
  const started = stack.move();
  return {
    stub,
    proxy,
    github,
    attempt,
    send: async (repo?: string) => (await attempt(repo)).code,
    calls() {
      const calls = proxy.requests.slice(seen).map(({ method, path }) => `${method} ${path}`);
      seen = proxy.requests.length;
      return calls;
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Set up once for all tests of a file: a key of the App, and a date that {@link pass} moves. */
export function setUpDoors() {
  let shared: Credentials;
  beforeAll(async () => {
    shared = await createCredentials();
  });
  afterAll(() => shared[Symbol.asyncDispose]());
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
  afterEach(() => void vi.useRealTimers());

  return {
    openDoor: (options?: DoorOptions, stubOptions?: Partial<GitHubStubOptions>) =>
      openDoorAs(shared, options, stubOptions),
    /** The same GitHub after the App was reinstalled for Altinn: its installation has another id. */
    startReinstalled: () =>
      startGitHubStub({ ...shared.stub, owners: { Altinn: 2002 }, now: () => Date.now() }),
    /** With an App of its own, whose key file `own` may be changed. */
    openOwnDoor: (own: Credentials) =>
      openDoorAs(own, { privateKey: reloadedFile(own.privateKeyPath, parsePrivateKey) }),
  };
}
