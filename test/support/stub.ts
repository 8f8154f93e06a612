import { readFile } from 'node:fs/promises';
import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { afterAll, beforeAll, beforeEach, expect } from 'vitest';

const INSTALLATION = 1001;
/** Octokit writes refusals to stderr, and here they are expected. */
const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** One stand-in for GitHub for all tests of a file, emptied before each, with a clock that only the test moves. */
export function setUpStub() {
  let credentials: Credentials;
  let stub: RunningGitHubStub;
  let token = '';
  let clock = Date.now();

  beforeAll(async () => {
    credentials = await createCredentials();
    const owners = { Altinn: INSTALLATION };
    stub = await startGitHubStub({ ...credentials.stub, owners, now: () => clock });
  });
  afterAll(async () => {
    await stub.close();
    await credentials[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    clock = Math.floor(Date.now() / 1000) * 1000;
    stub.clear();
    token = await api.newToken();
  });

  const send = async (path: string, init: RequestInit) => {
    const response = await fetch(`${stub.url}${path}`, { redirect: 'manual', ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') && text !== '';
    const headers = Object.fromEntries(response.headers);
    return { status: response.status, headers, body: isJson ? JSON.parse(text) : text };
  };

  const api = {
    get stub() {
      return stub;
    },
    /** Epoch milliseconds, a whole second when a test begins. */
    get now() {
      return clock;
    },
    pass(ms: number) {
      clock += ms;
    },
    /** An installation token, for all that the App may do unless some permissions are asked for. */
    async newToken(permissions?: Readonly<Record<string, string>>): Promise<string> {
      const auth = createAppAuth({
        appId: credentials.appId,
        privateKey: await readFile(credentials.privateKeyPath, 'utf8'),
        request: new Octokit({ baseUrl: stub.url, log: silent }).request,
      });
      const options = { type: 'installation', installationId: INSTALLATION } as const;
      return (await auth({ ...options, ...(permissions && { permissions }) })).token;
    },
    /** An Octokit with the installation's token. */
    octokit: () => new Octokit({ baseUrl: stub.url, auth: token, log: silent }),
    get: (path: string, headers: Readonly<Record<string, string>> = {}) =>
      send(path, { headers: { authorization: `token ${token}`, ...headers } }),
    /** To the stand-in's own endpoints. */
    put: (path: string, body: unknown) => send(path, { method: 'PUT', body: JSON.stringify(body) }),
    /** Sends a dispatch that must be accepted. */
    async dispatch(
      dispatchId: string,
      { repo = 'Altinn/dialogporten', event_type = 'flux-deploy', ...payload }: Record<string, string> = {},
    ): Promise<void> {
      const client_payload = { dispatch_id: dispatchId, ...payload };
      const answer = await send(`/repos/${repo}/dispatches`, {
        method: 'POST',
        headers: { authorization: `token ${token}` },
        body: JSON.stringify({ event_type, client_payload }),
      });
      expect(answer.status).toBe(204);
    },
  };
  return api;
}
