import { once } from 'node:events';
import { connect } from 'node:net';
import { sign } from '@flux-dispatch/event/signature';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent, postSigned } from '@flux-dispatch/testbed/flux';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { UNHURRIED } from '../support/unhurried.ts';

// Of the right form, and the signature of nothing.
const FORMED = `sha256=${'0'.repeat(64)}`;

const resources = new AsyncDisposableStack();
let credentials: Credentials;
let system: System;
let url: string;
let github: Awaited<ReturnType<typeof startGitHubStub>>;

beforeAll(async () => {
  credentials = resources.use(await createCredentials());
  github = resources.use(await startGitHubStub(credentials.stub));
  system = resources.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: github.url, credentials },
      env: { ...UNHURRIED, MAX_BODY_BYTES: '20000' },
    }),
  );
  url = system.ingests[0]?.eventsUrl ?? '';
});
afterAll(() => resources.disposeAsync());

let count = 0;
/** An event that has not been sent before. */
function freshEvent(metadata: Record<string, string> = {}): Buffer {
  count++;
  const revision = ociRevision('at23', `content ${count}`);
  return fluxEvent({
    metadata: { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision, ...metadata },
  });
}

describe('signature', () => {
  const body = freshEvent();
  test.each<[name: string, signature: (token: string) => string]>([
    ['of another token', () => sign(body, Buffer.from('another token'))],
    ['of another body', token => sign(freshEvent(), Buffer.from(token))],
    ['without its algorithm', token => sign(body, Buffer.from(token)).replace('sha256=', '')],
    ['of another algorithm', token => sign(body, Buffer.from(token)).replace('sha256', 'sha1')],
    ['cut short', token => sign(body, Buffer.from(token)).slice(0, -1)],
    ['empty', () => ''],
  ])('%s: 401', async (_, signature) => {
    const answer = await postSigned(url, body, signature(credentials.token));
    expect(answer).toMatchObject({ status: 401, body: { outcome: 'invalid_signature' } });
    expect(answer.body.message).toMatch(/X-Signature/);
  });

  test('is verified before the body is parsed', async () => {
    expect(await postSigned(url, Buffer.from('{'), 'sha256=00')).toMatchObject({ status: 401 });
  });
});

describe('size', () => {
  test('a body whose Content-Length is too large is refused unread', async () => {
    const answer = await postEvent(url, Buffer.alloc(20_001), credentials.token);
    expect(answer).toMatchObject({ status: 413, body: { outcome: 'body_too_large' } });
  });

  test('the largest body that Flux sends gets an answer as well, and not a reset connection', async () => {
    for (let n = 0; n < 10; n++) {
      expect(await postEvent(url, Buffer.alloc(3 * 1024 * 1024), credentials.token)).toMatchObject({
        status: 413,
      });
    }
  });

  test('a body without Content-Length is refused once it is too large', async () => {
    // Without a Content-Length, in chunks.
    const chunks = ReadableStream.from([new Uint8Array(16_384), new Uint8Array(16_384)]);
    const response = await fetch(url, {
      ...{ method: 'POST', headers: { 'X-Signature': FORMED }, body: chunks, duplex: 'half' },
    } as RequestInit);
    expect([response.status, await response.json()]).toMatchObject([413, { outcome: 'body_too_large' }]);
  });

  test.each([
    ['missing', ''],
    ['malformed', 'X-Signature: sha1=aa\r\n'],
  ])('a signature that is %s is answered before the body is read', async (_, header) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`POST /flux-events HTTP/1.1\r\nHost: ingest\r\n${header}Content-Length: 100\r\n\r\n{`);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toContain('401 Unauthorized');
    socket.destroy();
  });

  test('an incomplete request is cut off after 10 s', async () => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const head = `Host: ingest\r\nX-Signature: ${FORMED}\r\nContent-Length: 100`;
    socket.write(`POST /flux-events HTTP/1.1\r\n${head}\r\n\r\n{`);
    const startedAt = performance.now();
    const answered: Buffer[] = [];
    socket.on('data', chunk => answered.push(chunk));
    await once(socket, 'close');
    // Not even a 408: a 4xx is never sent again.
    expect(answered).toEqual([]);
    expect(performance.now() - startedAt).toBeGreaterThan(9_000);
    // Node's own limit is 5 min.
    expect(performance.now() - startedAt).toBeLessThan(60_000);
  });
});

describe('other requests', () => {
  test.each([
    ['GET', '/flux-events', 405, 'method_not_allowed'],
    ['DELETE', '/flux-events', 405, 'method_not_allowed'],
    ['POST', '/', 404, 'not_found'],
    ['POST', '/FLUX-EVENTS', 404, 'not_found'],
    ['GET', '/favicon.ico', 404, 'not_found'],
  ])('%s %s: %i %s', async (method, path, status, outcome) => {
    const response = await fetch(new URL(path, url), { method });
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { outcome, message: expect.any(String) },
    ]);
    if (status === 405) expect(response.headers.get('allow')).toBe('POST');
  });

  test.each(['/healthz', '/readyz'])('GET %s: 200', async path => {
    expect((await fetch(new URL(path, url))).status).toBe(200);
  });
});

describe('several repositories', () => {
  test('each has its own outcome and id, and a repository named twice counts once', async () => {
    const metadata = { revision: ociRevision('at23', 'several'), dispatch_event: 'flux-several' };
    const first = await postEvent(
      url,
      freshEvent({ ...metadata, dispatch_repo: 'Altinn/a' }),
      credentials.token,
    );
    const both = await postEvent(
      url,
      freshEvent({ ...metadata, dispatch_repo: 'Altinn/A , Altinn/b,altinn/B' }),
      credentials.token,
    );
    expect(both).toMatchObject({
      status: 202,
      body: {
        outcome: 'enqueued',
        dispatches: [
          { repo: 'Altinn/A', outcome: 'duplicate', dispatch_id: first.body.dispatch_id },
          { repo: 'Altinn/b', outcome: 'enqueued' },
        ],
      },
    });
    expect(both.body.dispatch_id).toBe(both.body.dispatches?.[1]?.dispatch_id);
    await until('both are at GitHub', () => {
      const repos = github.dispatches.filter(({ event_type }) => event_type === 'flux-several');
      return (
        repos
          .map(({ repo }) => repo)
          .sort()
          .join() === 'a,b'
      );
    });
  });

  test('one invalid entry rejects the event whole', async () => {
    const event = freshEvent({ dispatch_repo: 'Altinn/good,Evil/bad' });
    expect(await postEvent(url, event, credentials.token)).toMatchObject({
      status: 422,
      body: { outcome: 'invalid_dispatch_repo', message: expect.stringContaining('Evil/bad') },
    });
    const alone = freshEvent({ dispatch_repo: 'Altinn/good' });
    expect(await postEvent(url, alone, credentials.token)).toMatchObject({ status: 202 });
  });
});

test('REJECT_STATUS=200 answers a configuration error with 200, as RFC 0010 has it', async () => {
  const { eventsUrl, process } = await system.startIngest({ REJECT_STATUS: '200' });
  const answer = await postEvent(eventsUrl, freshEvent({ dispatch_repo: 'Evil/repo' }), credentials.token);
  expect(answer).toMatchObject({ status: 200, body: { outcome: 'invalid_dispatch_repo' } });
  process.signal('SIGTERM');
  expect(await process.exited).toEqual({ code: 0, signal: null });
});

test('ALLOW_UNSIGNED=true takes events without a signature, and warns at start', async () => {
  const { eventsUrl, process } = await system.startIngest({ ALLOW_UNSIGNED: 'true', HMAC_TOKEN_PATH: '' });
  const response = await fetch(eventsUrl, { method: 'POST', body: new Uint8Array(freshEvent()) });
  expect([response.status, await response.json()]).toMatchObject([202, { outcome: 'enqueued' }]);
  expect(process.log()).toContainEqual(
    expect.objectContaining({ level: 'warn', msg: expect.stringContaining('ALLOW_UNSIGNED') }),
  );
});
