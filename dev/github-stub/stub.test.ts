import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { request } from 'node:http';
import { readGitHubDescription } from '@flux-dispatch/testbed/openapi';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SecondaryLimit } from './rate-limit.ts';
import { type RunningGitHubStub, startGitHubStub } from './stub.ts';

const APP_ID = 4711;
const OWNERS = { Altinn: 1001, Digdir: 1002 };
const MINUTE = 60_000;
const REPO = '/repos/Altinn/dialogporten';

const keyPair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
const appKey = keyPair();
const otherKey = keyPair();

let clock = Date.now();
let stub: RunningGitHubStub;

beforeAll(async () => {
  stub = await startGitHubStub({
    appId: APP_ID,
    publicKeys: [appKey.publicKey],
    owners: OWNERS,
    now: () => clock,
  });
});
afterAll(() => stub.close());
beforeEach(() => {
  clock = Date.now();
  stub.clear();
  stub.setKeys([appKey.publicKey]);
  stub.revokeTokens();
});

type JwtClaims = { iss?: unknown; iat?: unknown; exp?: unknown };

/** A good JWT, unless told otherwise; `iat` and `exp` in seconds from now. */
function jwt(claims: JwtClaims = {}, { alg = 'RS256', key = appKey.privateKey } = {}): Promise<string> {
  const seconds = Math.floor(clock / 1000);
  const { iss = APP_ID, iat = -30, exp = 570 } = claims;
  const payload = {
    iss,
    iat: typeof iat === 'number' ? seconds + iat : iat,
    exp: typeof exp === 'number' ? seconds + exp : exp,
  };
  const secret = alg.startsWith('HS') ? Buffer.from(appKey.publicKey) : createPrivateKey(key);
  return new SignJWT(payload as JWTPayload).setProtectedHeader({ alg }).sign(secret);
}

async function call(method: string, path: string, authorization?: string, body?: unknown, target = stub) {
  const response = await fetch(`${target.url}${path}`, {
    method,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    ...(authorization === undefined ? {} : { headers: { authorization } }),
  });
  const text = await response.text();
  const json = response.headers.get('content-type')?.includes('json');
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: json ? JSON.parse(text) : text,
  };
}

async function installationToken(id = OWNERS.Altinn, body?: unknown, target = stub): Promise<string> {
  const answer = await call(
    'POST',
    `/app/installations/${id}/access_tokens`,
    `Bearer ${await jwt()}`,
    body,
    target,
  );
  expect(answer.status).toBe(201);
  return answer.body.token;
}

async function dispatch(token: string, body: unknown = { event_type: 'flux-deploy' }, repo = REPO) {
  return call('POST', `${repo}/dispatches`, `token ${token}`, body);
}

describe('with Octokit', () => {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const octokit = (installationId?: number) =>
    new Octokit({
      baseUrl: stub.url,
      log: silent,
      authStrategy: createAppAuth,
      auth: { appId: APP_ID, privateKey: appKey.privateKey, ...(installationId && { installationId }) },
    });

  test('an App finds its installation and dispatches', async () => {
    const { data: app } = await octokit().rest.apps.getAuthenticated();
    expect(app).toMatchObject({ id: APP_ID, permissions: { contents: 'write' } });

    const { data: installation } = await octokit().rest.apps.getRepoInstallation({
      owner: 'altinn',
      repo: 'x',
    });
    expect(installation).toMatchObject({ id: OWNERS.Altinn, app_id: APP_ID, account: { login: 'Altinn' } });

    const client_payload = { product: 'dialogporten', environment: 'at23' };
    const { status } = await octokit(installation.id).rest.repos.createDispatchEvent({
      owner: 'Altinn',
      repo: 'dialogporten',
      event_type: 'flux-deploy',
      client_payload,
    });
    expect(status).toBe(204);
    expect(stub.dispatches).toEqual([
      {
        id: 1,
        receivedAt: new Date(clock).toISOString(),
        owner: 'Altinn',
        repo: 'dialogporten',
        event_type: 'flux-deploy',
        client_payload,
        status: 204,
      },
    ]);
  });

  test('an App whose clock is an hour slow corrects it by the answer, as with GitHub', async () => {
    clock += 60 * MINUTE;
    const { data } = await octokit().rest.apps.getOrgInstallation({ org: 'Altinn' });
    expect(data.id).toBe(OWNERS.Altinn);
    expect(stub.requests).toEqual(
      new Map([
        ['GET /orgs/{owner}/installation 401', 1],
        ['GET /orgs/{owner}/installation 200', 1],
      ]),
    );
  });
});

describe('the App JWT', () => {
  const undecodable = 'A JSON web token could not be decoded';
  const expired =
    "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";

  test.each<[string, () => Promise<string>]>([
    ['as Octokit makes it', () => jwt()],
    ['with the App id as a string', () => jwt({ iss: String(APP_ID) })],
    ['at the longest life', () => jwt({ iat: 0, exp: 600 })],
    ['from a clock 60 s fast', () => jwt({ iat: 60, exp: 660 })],
    ['from a clock 59 s slow', () => jwt({ iat: -659, exp: -59 })],
  ])('is taken %s', async (_, token) => {
    expect((await call('GET', '/app', `Bearer ${await token()}`)).status).toBe(200);
  });

  test.each<[string, string, () => Promise<string> | string]>([
    ['signed by another key', undecodable, () => jwt({}, { key: otherKey.privateKey })],
    ['of another App', undecodable, () => jwt({ iss: 815 })],
    ['without an issuer', undecodable, () => jwt({ iss: null })],
    ['signed RS512', undecodable, () => jwt({}, { alg: 'RS512' })],
    ['signed HS256 with the public key', undecodable, () => jwt({}, { alg: 'HS256' })],
    ['unsigned', undecodable, async () => `${btoa('{"alg":"none"}')}.${(await jwt()).split('.')[1]}.`],
    ['that is no JWT', undecodable, () => 'nonsense'],
    ['that has expired', expired, () => jwt({ iat: -661, exp: -61 })],
    ['without an expiry', expired, () => jwt({ exp: null })],
    [
      'that lives too long',
      "'Expiration time' claim ('exp') is too far in the future",
      () => jwt({ exp: 661 }),
    ],
    [
      'from the future',
      "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
      () => jwt({ iat: 61 }),
    ],
  ])('is refused %s', async (_, message, token) => {
    expect(await call('GET', '/app', `Bearer ${await token()}`)).toMatchObject({
      status: 401,
      body: { message, status: '401', documentation_url: 'https://docs.github.com/rest' },
    });
  });

  test('is asked for wherever the App acts as itself', async () => {
    const token = await installationToken();
    for (const [method, path] of [
      ['GET', '/app'],
      ['GET', '/orgs/Altinn/installation'],
      ['GET', '/users/Altinn/installation'],
      ['GET', `${REPO}/installation`],
      ['POST', `/app/installations/${OWNERS.Altinn}/access_tokens`],
    ] as const) {
      for (const authorization of [undefined, `Bearer ${token}`, `token ${await jwt()}`, 'Basic eDp5']) {
        const { status, body } = await call(method, path, authorization);
        expect([status, body.message], `${method} ${path} ${authorization}`).toEqual([401, undecodable]);
      }
    }
  });

  test('goes by the new keys once they are replaced', async () => {
    const old = `Bearer ${await jwt()}`;
    expect(
      (await call('PUT', '/_stub/keys', undefined, { publicKeys: [otherKey.publicKey, appKey.publicKey] }))
        .status,
    ).toBe(204);
    expect((await call('GET', '/app', old)).status).toBe(200);
    expect((await call('PUT', '/_stub/keys', undefined, { publicKeys: [otherKey.publicKey] })).status).toBe(
      204,
    );
    expect((await call('GET', '/app', old)).status).toBe(401);
    expect((await call('GET', '/app', `Bearer ${await jwt({}, { key: otherKey.privateKey })}`)).status).toBe(
      200,
    );
  });
});

describe('installations', () => {
  test.each(['/orgs/altinn/installation', '/users/ALTINN/installation', '/repos/Altinn/any/installation'])(
    'GET %s finds the owner in any case',
    async path => {
      const { body } = await call('GET', path, `Bearer ${await jwt()}`);
      expect(body).toMatchObject({
        id: OWNERS.Altinn,
        account: { login: 'Altinn', type: 'Organization' },
        access_tokens_url: `${stub.url}/app/installations/${OWNERS.Altinn}/access_tokens`,
        permissions: { actions: 'read', contents: 'write', metadata: 'read' },
        suspended_at: null,
      });
    },
  );

  test('are not found at other owners, at absent repositories and where taken away', async () => {
    stub.setRepositories({ absent: ['altinn/GONE'] });
    stub.setInstallations({ notInstalled: ['digdir'] });
    const authorization = `Bearer ${await jwt()}`;
    for (const path of [
      '/orgs/nav/installation',
      '/repos/Altinn/gone/installation',
      '/users/Digdir/installation',
      '/repos/Altinn/%2e%2e/installation',
    ]) {
      expect(await call('GET', path, authorization), path).toMatchObject({
        status: 404,
        body: { message: 'Not Found' },
      });
    }
  });

  test('exist at any owner where none are listed, with the same id after every start', async () => {
    const options = { appId: String(APP_ID), publicKeys: [appKey.publicKey] };
    const ids = [];
    for (const owner of ['Altinn', 'altinn', 'nav']) {
      await using open = await startGitHubStub(options);
      const { body } = await call(
        'GET',
        `/orgs/${owner}/installation`,
        `Bearer ${await jwt()}`,
        undefined,
        open,
      );
      ids.push(body.id);
      expect(await installationToken(body.id, undefined, open)).toMatch(/^ghs_/);
    }
    expect(ids[0]).toBe(ids[1]);
    expect(ids[0]).not.toBe(ids[2]);
  });

  test('that are suspended give no token and take no dispatch', async () => {
    const token = await installationToken();
    await call('PUT', '/_stub/installations', undefined, { suspended: ['altinn'] });
    const authorization = `Bearer ${await jwt()}`;

    expect((await call('GET', '/orgs/Altinn/installation', authorization)).body.suspended_at).toBe(
      new Date(clock).toISOString(),
    );
    const refusal = { status: 403, body: { message: 'This installation has been suspended' } };
    expect(
      await call('POST', `/app/installations/${OWNERS.Altinn}/access_tokens`, authorization),
    ).toMatchObject(refusal);
    expect(await dispatch(token)).toMatchObject(refusal);
  });
});

describe('installation tokens', () => {
  test('carry what they are good for', async () => {
    const { body } = await call(
      'POST',
      `/app/installations/${OWNERS.Altinn}/access_tokens`,
      `Bearer ${await jwt()}`,
    );
    expect(body).toEqual({
      token: expect.stringMatching(/^ghs_\w{36}$/),
      expires_at: new Date(clock + 60 * MINUTE).toISOString().replace(/\.\d+/, ''),
      permissions: { actions: 'read', contents: 'write', metadata: 'read' },
      repository_selection: 'all',
    });
  });

  test('are not issued for an unknown installation', async () => {
    const answer = await call('POST', '/app/installations/9/access_tokens', `Bearer ${await jwt()}`);
    expect(answer).toMatchObject({ status: 404, body: { message: 'Not Found' } });
  });

  test('reach no further than was asked for', async () => {
    const selected = await installationToken(OWNERS.Altinn, { repositories: ['Dialogporten'] });
    expect((await dispatch(selected)).status).toBe(204);
    expect((await dispatch(selected, undefined, '/repos/Altinn/other')).status).toBe(404);

    const reading = await installationToken(OWNERS.Altinn, { permissions: { contents: 'read' } });
    expect(await dispatch(reading)).toMatchObject({
      status: 403,
      body: { message: 'Resource not accessible by integration' },
    });

    for (const body of [
      { permissions: { issues: 'write' } },
      { repositories: ['..'] },
      { repository_ids: [1] },
    ]) {
      const answer = await call(
        'POST',
        `/app/installations/${OWNERS.Altinn}/access_tokens`,
        `Bearer ${await jwt()}`,
        body,
      );
      expect(answer.status, JSON.stringify(body)).toBe(422);
    }
  });

  test.each<[string, () => unknown]>([
    [
      'expired',
      () => {
        clock += 60 * MINUTE;
      },
    ],
    ['revoked', () => call('DELETE', '/_stub/tokens')],
    ['of an App taken away', () => stub.setInstallations({ notInstalled: ['Altinn'] })],
  ])('are bad credentials once %s', async (_, end) => {
    const token = await installationToken();
    expect((await call('POST', `${REPO}/dispatches`, `Bearer ${token}`, { event_type: 'x' })).status).toBe(
      204,
    );
    await end();
    expect(await dispatch(token)).toMatchObject({
      status: 401,
      body: { message: 'Bad credentials', status: '401' },
    });
  });
});

describe('POST /repos/{owner}/{repo}/dispatches', () => {
  test('asks for an installation token', async () => {
    for (const authorization of [undefined, 'token ghs_unknown', `Bearer ${await jwt()}`]) {
      const answer = await call('POST', `${REPO}/dispatches`, authorization, { event_type: 'x' });
      expect(answer).toMatchObject({ status: 401, body: { message: 'Bad credentials' } });
    }
  });

  test('finds neither what belongs to another owner nor what is absent', async () => {
    await call('PUT', '/_stub/repositories', undefined, { absent: ['Altinn/gone'] });
    const token = await installationToken();
    for (const repo of ['/repos/Digdir/roadmap', '/repos/altinn/Gone', '/repos/Altinn/..%2f..']) {
      expect(await dispatch(token, undefined, repo)).toMatchObject({
        status: 404,
        body: { message: 'Not Found' },
      });
    }
    expect(stub.dispatches).toHaveLength(0);
  });

  const properties = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, i]));
  /** A payload of exactly so many bytes of JSON. */
  const payload = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) });

  test.each<[string, unknown]>([
    ['an event type alone', { event_type: 'x' }],
    ['the longest event type', { event_type: '🚀'.repeat(100) }],
    ['ten properties', { event_type: 'x', client_payload: properties(10) }],
    ['a byte less than 64 KB', { event_type: 'x', client_payload: payload(65_535) }],
  ])('takes %s', async (_, body) => {
    expect((await dispatch(await installationToken(), body)).status).toBe(204);
    expect(stub.dispatches[0]).toMatchObject(body as object);
  });

  test.each<[string, unknown, number, string]>([
    ['no body', undefined, 422, `"event_type" wasn't supplied.`],
    ['no object', [], 422, "For 'links/0/schema', [] is not an object."],
    ['no event type', { client_payload: {} }, 422, `"event_type" wasn't supplied.`],
    ['an event type of null', { event_type: null }, 422, "For 'properties/event_type', nil is not a string."],
    [
      'an empty event type',
      { event_type: '' },
      422,
      'At least 1 character is required; only 0 were supplied.',
    ],
    [
      'an event type too long',
      { event_type: 'x'.repeat(101) },
      422,
      'Only 100 characters are allowed; 101 were supplied.',
    ],
    [
      'a payload that is a list',
      { event_type: 'x', client_payload: [1] },
      422,
      "For 'properties/client_payload', [1] is not an object.",
    ],
    [
      'eleven properties',
      { event_type: 'x', client_payload: properties(11) },
      422,
      'No more than 10 properties are allowed; 11 were supplied.',
    ],
    ['64 KB', { event_type: 'x', client_payload: payload(65_536) }, 422, 'client_payload is too large.'],
    [
      '64 KB in fewer characters',
      { event_type: 'x', client_payload: { text: 'å'.repeat(32_768) } },
      422,
      'client_payload is too large.',
    ],
    ['a key of no meaning', { event_type: 'x', payload: {} }, 422, '"payload" is not a permitted key.'],
    ['no JSON', '{', 400, 'Problems parsing JSON'],
    ['more than it reads', ' '.repeat(11 * 1024 * 1024), 413, 'Payload Too Large'],
  ])('refuses %s', async (_, body, status, message) => {
    const answer = await dispatch(await installationToken(), body === undefined ? {} : body);
    expect(answer.status).toBe(status);
    expect(answer.body.message).toContain(message);
    expect(stub.dispatches).toHaveLength(0);
  });
});

describe('a renamed repository', () => {
  beforeEach(() => stub.setRepositories({ renamed: { 'Altinn/old': 'Altinn/dialogporten' } }));

  test('takes a dispatch under its number, to which the old name redirects', async () => {
    const token = await installationToken();
    const redirect = await fetch(`${stub.url}/repos/ALTINN/old/dispatches`, {
      method: 'POST',
      redirect: 'manual',
      headers: { authorization: `token ${token}` },
      body: '{}',
    });
    expect(redirect.status).toBe(307);
    const location = redirect.headers.get('location') ?? '';
    expect(location).toMatch(new RegExp(`^${stub.url}/repositories/\\d+/dispatches$`));
    expect(
      (
        await dispatch(
          token,
          { event_type: 'e' },
          location.replace(/^.*(?=\/repositories)|\/dispatches$/g, ''),
        )
      ).status,
    ).toBe(204);
    expect(stub.dispatches).toMatchObject([{ owner: 'Altinn', repo: 'dialogporten' }]);
  });

  test('has the installation of its new owner, and redirects with 301 where it is read', async () => {
    const authorization = `Bearer ${await jwt()}`;
    const path = '/repos/Altinn/old/installation';
    const redirect = await fetch(`${stub.url}${path}`, { redirect: 'manual', headers: { authorization } });
    expect(redirect.status).toBe(301);
    expect(await call('GET', path, authorization)).toMatchObject({
      status: 200,
      body: { id: OWNERS.Altinn },
    });
  });
});

describe('every answer', () => {
  test('says where the caller stands with the primary limit, and its request id', async () => {
    const token = await installationToken();
    const reset = String(Math.ceil((clock + 60 * MINUTE) / 1000));
    const first = await dispatch(token);
    const second = await dispatch(token, '{');
    for (const [{ headers }, used] of [
      [first, 1],
      [second, 2],
    ] as const) {
      expect(headers).toMatchObject({
        'x-ratelimit-limit': '15000',
        'x-ratelimit-remaining': String(15_000 - used),
        'x-ratelimit-used': String(used),
        'x-ratelimit-reset': reset,
        'x-ratelimit-resource': 'core',
        'x-github-request-id': expect.stringMatching(/^[0-9A-F]{4}(:[0-9A-F]+){4}$/),
      });
    }
    expect((await call('GET', '/no/such')).headers).toHaveProperty('x-ratelimit-remaining');
  });

  test('is 404 for an unknown route', async () => {
    expect(await call('GET', '/no/such', 'Bearer x')).toMatchObject({
      status: 404,
      body: { message: 'Not Found', documentation_url: 'https://docs.github.com/rest', status: '404' },
    });
  });

  test('is 403 without a user agent', async () => {
    const status = await new Promise((resolve, reject) => {
      // Unlike fetch, node:http sends none by itself.
      request(`${stub.url}/app`, response => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(403);
  });
});

describe('the limits', () => {
  test('of an hour end with it', async () => {
    await call('PUT', '/_stub/rate-limit', undefined, { limit: 2 });
    const token = await installationToken();
    expect((await dispatch(token)).headers['x-ratelimit-remaining']).toBe('1');
    expect((await dispatch(token)).headers['x-ratelimit-remaining']).toBe('0');
    expect(await dispatch(token)).toMatchObject({
      status: 403,
      headers: { 'x-ratelimit-remaining': '0' },
      body: { message: 'API rate limit exceeded for installation ID 1001.' },
    });
    expect(
      (await dispatch(await installationToken(OWNERS.Digdir), undefined, '/repos/Digdir/x')).status,
    ).toBe(204);
    clock += 60 * MINUTE;
    expect((await dispatch(await installationToken())).headers['x-ratelimit-remaining']).toBe('1');
  });

  test('on bursts slide, and a refusal costs nothing', async () => {
    const started = clock;
    await call('PUT', '/_stub/secondary-limit', undefined, {
      enabled: true,
      points: 15,
      retryAfterSeconds: 7,
    });
    const token = await installationToken();
    const at = async (ms: number) => {
      clock = started + ms;
      return (await dispatch(token)).status;
    };
    expect([await at(0), await at(30_000), await at(59_999)]).toEqual([204, 204, 204]);
    expect(await at(59_999)).toBe(403);
    expect(await dispatch(token)).toMatchObject({
      status: 403,
      headers: { 'retry-after': '7' },
      body: {
        message: expect.stringContaining(
          'You have exceeded a secondary rate limit. Please wait a few minutes',
        ),
      },
    });
    expect([await at(60_000), await at(60_000), await at(90_000), await at(119_999)]).toEqual([
      204, 403, 204, 204,
    ]);
    expect(stub.dispatches).toHaveLength(6);

    await call('PUT', '/_stub/secondary-limit', undefined, { enabled: false });
    expect(await at(119_999)).toBe(204);
  });

  test('on bursts are 180 posts or 900 gets a minute', () => {
    for (const [method, allowed] of [
      ['POST', 180],
      ['GET', 900],
    ] as const) {
      const limit = new SecondaryLimit();
      limit.configure({ enabled: true });
      const refusals = Array.from({ length: allowed + 1 }, (_, i) => limit.spend('x', method, i));
      expect(refusals.filter(Boolean)).toEqual([{ retryAfterSeconds: 60 }]);
      expect(refusals.at(-1)).toBeDefined();
    }
  });
});

describe('faults', () => {
  const outage = { status: 502, headers: { 'retry-after': '3' }, body: { message: 'Server Error' } };

  test('answer in GitHub’s place as often as they are told to', async () => {
    const token = await installationToken();
    stub.setFaults([{ action: outage, times: 2 }]);
    for (const _ of [1, 2]) {
      expect(await dispatch(token)).toMatchObject({
        status: 502,
        headers: { 'retry-after': '3', 'x-ratelimit-limit': '15000' },
        body: { message: 'Server Error' },
      });
    }
    expect((await dispatch(token)).status).toBe(204);
    expect((await call('GET', '/_stub/faults')).body).toEqual([{ action: outage, times: 2, applied: 2 }]);
    expect(stub.dispatches).toHaveLength(1);
  });

  test.each([
    [{ method: 'post' }, true],
    [{ method: 'GET' }, false],
    [{ path: '/repos/' }, true],
    [{ path: '/app' }, false],
    [{ path: '^/repos/[^/]+/dialog.*/dispatches$' }, true],
    [{ path: '^/dispatches' }, false],
    [{ repo: 'ALTINN/dialogporten' }, true],
    [{ repo: 'Altinn/other' }, false],
    [{ method: 'POST', path: '/repos/', repo: 'Altinn/dialogporten' }, true],
    [{ method: 'POST', path: '/app', repo: 'Altinn/dialogporten' }, false],
  ])('matching %j hit a dispatch: %s', async (match, hit) => {
    const token = await installationToken();
    stub.setFaults([{ match, action: { status: 503 } }]);
    expect((await dispatch(token)).status).toBe(hit ? 503 : 204);
  });

  test('act in their order', async () => {
    const token = await installationToken();
    stub.setFaults([
      { action: { status: 500 }, times: 1 },
      { action: { latencyMs: 1 }, times: 1 },
      { match: { repo: 'Altinn/other' }, action: { status: 404 } },
      { action: { status: 503, body: '<h1>Unicorn!</h1>' } },
    ]);
    expect((await dispatch(token)).status).toBe(500);
    expect(await dispatch(token)).toMatchObject({ status: 503, body: '<h1>Unicorn!</h1>' });
    expect(stub.faults().map(fault => fault.applied)).toEqual([1, 1, 0, 1]);
  });

  test.each<[string, unknown]>([
    ['null', null],
    ['[]', []],
    ['{}', {}],
  ])('answer with any JSON: %s', async (_, body) => {
    stub.setFaults([{ action: { status: 200, body } }]);
    const answer = await call('GET', '/repos/Altinn/dialogporten/installation');
    expect(answer).toMatchObject({ status: 200, body });
  });

  test('answer with headers that replace GitHub’s own', async () => {
    const date = 'Thu, 01 Jan 1970 00:00:00 GMT';
    stub.setFaults([{ action: { status: 302, headers: { date, location: '/login' } } }]);
    const answer = await fetch(`${stub.url}/app`, { redirect: 'manual' });
    expect(answer.status).toBe(302);
    expect(Object.fromEntries(answer.headers)).toMatchObject({ date, location: '/login' });
  });

  test('of latency hold the request up and let it through', async () => {
    const token = await installationToken();
    stub.setFaults([{ action: { latencyMs: 50 } }]);
    const started = performance.now();
    expect((await dispatch(token)).status).toBe(204);
    expect(performance.now() - started).toBeGreaterThan(45);
  });

  test('of latency after handling hold up the answer alone', async () => {
    const token = await installationToken();
    stub.setFaults([{ action: { latencyMs: 50, afterHandling: true } }]);
    const started = performance.now();
    const answer = dispatch(token);
    await expect.poll(() => stub.dispatches.length, { interval: 1 }).toBe(1);
    const recordedAfter = performance.now() - started;
    expect((await answer).status).toBe(204);
    expect(performance.now() - started).toBeGreaterThan(Math.max(45, recordedAfter));
  });

  test('of latency do not hold up the end', async () => {
    const closing = await startGitHubStub({ appId: APP_ID, publicKeys: [appKey.publicKey] });
    closing.setFaults([{ action: { latencyMs: 3_600_000 } }]);
    const pending = expect(fetch(`${closing.url}/app`)).rejects.toThrow('fetch failed');
    await expect.poll(() => closing.faults()[0]?.applied).toBe(1);
    await closing.close();
    await pending;
  });

  test.each([
    [false, 0],
    [true, 1],
  ])('drop the connection; after handling: %s', async (afterHandling, recorded) => {
    const token = await installationToken();
    stub.setFaults([{ match: { method: 'POST' }, action: { drop: true, afterHandling }, times: 1 }]);
    await expect(dispatch(token)).rejects.toThrow('fetch failed');
    expect(stub.dispatches).toHaveLength(recorded);
    expect(stub.requests.get('POST /repos/{owner}/{repo}/dispatches dropped')).toBe(1);
    expect((await dispatch(token)).status).toBe(204);
  });

  test.each<[unknown, string]>([
    [{}, 'expected array'],
    [undefined, 'expected array'],
    [
      [{}],
      'must be one of { status, headers?, body? }, { latencyMs, afterHandling? } or { drop: true, afterHandling? }',
    ],
    [[{ action: { status: 503, latencyMs: 5 } }], 'must be one of { status'],
    [[{ action: { status: 999 } }], '[0].action.status'],
    [[{ action: outage }, { action: outage, times: 0 }], '[1].times'],
    [[{ action: outage, when: 'always' }], '"when"'],
    [
      [{ action: outage, match: { path: 'repos' } }],
      'must be a prefix that begins with "/" or a regular expression',
    ],
    [[{ action: outage, match: { path: '^(' } }], 'Invalid regular expression'],
    [[{ action: outage, match: { repo: 'dialogporten' } }], 'must be "owner/name"'],
    ['{', 'malformed JSON'],
  ])('that are no faults are refused: %j', async (rules, fault) => {
    stub.setFaults([{ action: outage }]);
    const answer = await call('PUT', '/_stub/faults', undefined, rules);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(fault);
    expect(stub.faults()).toHaveLength(1);
  });

  test('are set and cleared over HTTP', async () => {
    const rules = [{ match: { path: '/app' }, action: { status: 503 } }];
    expect((await call('PUT', '/_stub/faults', undefined, rules)).status).toBe(204);
    expect((await call('GET', '/app')).status).toBe(503);
    expect((await call('DELETE', '/_stub/faults')).status).toBe(204);
    expect((await call('GET', '/app')).status).toBe(401);
  });
});

describe('the admin endpoints', () => {
  test('list the dispatches, of one repository if asked, and forget them', async () => {
    const token = await installationToken();
    await dispatch(token, { event_type: 'one' });
    await dispatch(token, { event_type: 'two' }, '/repos/Altinn/other');
    const types = async (query = '') =>
      (await call('GET', `/_stub/dispatches${query}`)).body.dispatches.map(
        (d: { event_type: string }) => d.event_type,
      );
    expect(await types()).toEqual(['one', 'two']);
    expect(await types('?repo=altinn/OTHER')).toEqual(['two']);
    expect((await call('DELETE', '/_stub/dispatches')).status).toBe(204);
    expect((await call('GET', '/_stub/dispatches')).body).toEqual({ received: 0, dispatches: [] });
  });

  test('count the requests', async () => {
    await dispatch(await installationToken());
    await call('GET', '/orgs/Altinn/installation');
    await call('GET', '/nowhere');
    expect((await call('GET', '/_stub/requests')).body).toEqual({
      total: 4,
      counts: {
        'POST /app/installations/{installation_id}/access_tokens 201': 1,
        'POST /repos/{owner}/{repo}/dispatches 204': 1,
        'GET /orgs/{owner}/installation 401': 1,
        'GET (unknown) 404': 1,
      },
    });
  });

  test.each([
    ['/_stub/keys', { publicKeys: ['nonsense'] }, 'publicKeys[0] is not a public key in PEM'],
    ['/_stub/keys', { publicKeys: [] }, 'publicKeys is empty'],
    ['/_stub/secondary-limit', {}, 'enabled'],
    ['/_stub/rate-limit', { limit: -1 }, 'limit'],
    ['/_stub/repositories', { absent: 'Altinn/gone' }, 'absent'],
    ['/_stub/repositories', { renamed: ['Altinn/old'] }, 'renamed'],
    ['/_stub/installations', { suspend: [] }, '"suspend"'],
  ])('PUT %s %j says what is wrong', async (path, body, fault) => {
    const answer = await call('PUT', path, undefined, body);
    expect(answer.status).toBe(400);
    expect(answer.body.message).toContain(fault);
  });

  test('put everything back', async () => {
    const token = await installationToken();
    await dispatch(token);
    stub.setFaults([{ action: { status: 500 } }]);
    stub.setInstallations({ suspended: ['Altinn'] });
    stub.setRepositories({ absent: ['Altinn/dialogporten'] });
    expect((await call('DELETE', '/_stub')).status).toBe(204);
    expect([stub.dispatches.length, stub.requests.size]).toEqual([0, 0]);
    expect((await dispatch(token)).status).toBe(204);
  });

  test('answer the probe', async () => {
    expect(await call('GET', '/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });
});

describe('the page', () => {
  test('lists what was received, newest first, and trusts none of it', async () => {
    const token = await installationToken();
    const client_payload = { product: '<script>alert("p")</script>', environment: `'"&`, dispatch_id: 7 };
    await dispatch(token, { event_type: '<img src=x onerror=alert(1)>', client_payload });
    await dispatch(token, { event_type: 'later' });

    const { body, headers } = await call('GET', '/');
    expect(headers['content-type']).toContain('text/html');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(body.indexOf('later')).toBeLessThan(body.indexOf('onerror'));
    expect(body).toContain('<span>&#60;script&#62;alert(&#34;p&#34;)&#60;/script&#62;</span>');
    expect(body).toContain('<span>&#39;&#34;&#38;</span>');
    expect(body).not.toMatch(/<script>alert|<img/);
  });
});

test('the App endpoints answer as GitHub’s own description says', async () => {
  const github = readGitHubDescription('2026-03-10');
  const authorization = `Bearer ${await jwt()}`;
  stub.setInstallations({ suspended: ['Digdir'] });
  for (const [schema, answer] of [
    ['integration', await call('GET', '/app', authorization)],
    ['installation', await call('GET', `${REPO}/installation`, authorization)],
    ['installation', await call('GET', '/orgs/Digdir/installation', authorization)],
    [
      'installation-token',
      await call('POST', `/app/installations/${OWNERS.Altinn}/access_tokens`, authorization),
    ],
    ['basic-error', await call('GET', '/app')],
    ['validation-error', await dispatch(await installationToken(), {})],
  ] as const) {
    expect(github.valueFaults(schema, answer.body)).toEqual([]);
  }
});
