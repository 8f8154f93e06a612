import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { ForeignAnswer } from './answer.ts';
import { createTransport } from './transport.ts';
import type { RateLimit } from './verdict.ts';

const DISPATCH = '/repos/Altinn/dialogporten/dispatches';
const LOOK_UP = '/repos/Altinn/dialogporten/installation';
const TOKEN = '/app/installations/1001/access_tokens';

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server that stands where GitHub, or something on the way to it, should be. */
async function serve(answer: Answer) {
  const requests: { method: string; path: string; headers: IncomingMessage['headers']; body: string }[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    requests.push({ method, path, headers, body: (await buffer(request)).toString() });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

const limits: RateLimit[] = [];
function send(url: string, method = 'POST', { timeoutMs = 10_000 } = {}) {
  const onExhausted = (limit: RateLimit) => void limits.push(limit);
  const transport = createTransport({ timeoutMs, apiVersion: '2026-03-10', onExhausted });
  return transport(url, {
    method,
    headers: { authorization: 'token t' },
    ...(method === 'POST' && { body: '{}' }),
  });
}

const redirect =
  (status: number, location?: string): Answer =>
  (_, response) =>
    response.writeHead(status, location === undefined ? {} : { location }).end('<html>Moved</html>');

describe('a redirect', () => {
  test.each([
    ['POST', 307, '/repositories/7/dispatches'],
    ['POST', 308, '/repositories/7/dispatches'],
    ['GET', 307, '/repositories/7/installation'],
    ['GET', 308, '/repositories/7/installation'],
    // GitHub's answer to the look-up of a renamed repository.
    ['GET', 301, '/repositories/7/installation'],
    ['GET', 302, '/repositories/7/installation'],
  ])('%s %i within the origin is followed, with method, body and headers', async (method, status, path) => {
    const answers: Record<string, Answer> = {
      [path]: (_, response) => response.writeHead(method === 'GET' ? 200 : 204).end('{"id":1}'),
    };
    await using server = await serve((request, response) =>
      (answers[request.url ?? ''] ?? redirect(status, path))(request, response),
    );
    const answer = await send(server.url + (method === 'GET' ? LOOK_UP : DISPATCH), method);
    expect(answer.ok).toBe(true);
    const [first, second] = server.requests;
    expect(second).toMatchObject({ method, path, body: first?.body });
    expect(second?.headers).toMatchObject({
      authorization: 'token t',
      'x-github-api-version': '2026-03-10',
    });
  });

  // "A proxy answers 302 → 200 HTML": retried, not delivered.
  test.each([
    ['POST', 301],
    ['POST', 302],
    ['POST', 303],
    ['GET', 303],
  ])(
    '%s %i is not followed even within the origin: the call would become another',
    async (method, status) => {
      await using server = await serve(redirect(status, '/login'));
      await expect(send(server.url + DISPATCH, method)).rejects.toThrow(
        `a redirect (${status}) leads to ${server.url}, which is not followed`,
      );
      expect(server.requests).toHaveLength(1);
    },
  );

  test.each(['GET', 'POST'])(
    '%s to another origin is not followed, and its target is named alone',
    async method => {
      await using other = await serve((_, response) => response.end('<html>Sign in</html>'));
      for (const status of [301, 302, 303, 307, 308]) {
        await using server = await serve(redirect(status, `${other.url}/login?token=hunter2`));
        const error = await send(server.url + LOOK_UP, method).catch(thrown => thrown);
        expect(error.message).toContain(`(${status}) leads to ${other.url},`);
        expect(error.message).not.toContain('hunter2');
      }
      expect(other.requests).toEqual([]);
    },
  );

  test('to https of the same host is to another origin', async () => {
    await using server = await serve(redirect(307, 'https://127.0.0.1/'));
    await expect(send(server.url + DISPATCH)).rejects.toThrow('leads to https://127.0.0.1,');
  });

  test.each([undefined, '', 'http://'])('to %j leads nowhere', async location => {
    await using server = await serve(redirect(302, location));
    await expect(send(server.url + DISPATCH)).rejects.toThrow('(302) leads to');
  });

  test('is followed five times at most', async () => {
    await using server = await serve(redirect(307, '/again'));
    await expect(send(server.url + DISPATCH)).rejects.toThrow('more than 5 redirects');
    expect(server.requests).toHaveLength(6);
  });
});

describe('an answer', () => {
  const json = (status: number, body: string): Answer => {
    return (_, response) => response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  };

  // "A look-up answered `null`": neither an installation nor a token.
  test.each([
    [LOOK_UP, 'null'],
    [LOOK_UP, '[]'],
    [LOOK_UP, '{}'],
    [LOOK_UP, '7'],
    [LOOK_UP, '{"id":"7"}'],
    [LOOK_UP, '{"id":0}'],
    [LOOK_UP, '{"id":1.5}'],
    [LOOK_UP, '{"id":null}'],
    [LOOK_UP, '<html>Sign in</html>'],
    [LOOK_UP, ''],
    [TOKEN, 'null'],
    [TOKEN, '{}'],
    [TOKEN, '{"token":""}'],
    [TOKEN, '{"token":7}'],
    [TOKEN, '<html>Sign in</html>'],
  ])('to %s that GitHub would not give: %j', async (path, body) => {
    await using server = await serve(json(200, body));
    const error = await send(server.url + path).catch(thrown => thrown);
    expect(error).toBeInstanceOf(ForeignAnswer);
    expect(error.response.status).toBe(200);
  });

  test.each([LOOK_UP, TOKEN])('to %s without content is not from GitHub', async path => {
    await using server = await serve(json(204, ''));
    await expect(send(server.url + path)).rejects.toBeInstanceOf(ForeignAnswer);
  });

  test.each([
    [200, '<html>Sign in</html>'],
    [204, ''],
    [404, '<html>Not Found</html>'],
    [502, ''],
  ])('to a dispatch is handed on as it is: %i %j', async (status, body) => {
    await using server = await serve((_, response) => response.writeHead(status).end(body));
    const answer = await send(server.url + DISPATCH);
    expect([answer.status, await answer.text()]).toEqual([status, body]);
  });

  test.each(['', 'nonsense', 'text/html; charset', 'application/json'])(
    'of the content type %j is what its body is',
    async type => {
      await using server = await serve((_, response) =>
        response.writeHead(422, { 'content-type': type }).end('{"message":"Invalid"}'),
      );
      const answer = await send(server.url + DISPATCH);
      expect(answer.headers.get('content-type')).toBe('application/json');
      expect(await answer.json()).toEqual({ message: 'Invalid' });
    },
  );

  test('over 1 MiB is not read to its end', async () => {
    await using server = await serve((_, response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
      };
      response.writeHead(500).on('drain', more);
      more();
    });
    await expect(send(server.url + DISPATCH)).rejects.toThrow('over 1 MiB');
  });

  test('whose body does not end is a timeout', async () => {
    await using server = await serve((_, response) => response.writeHead(500).write('{'));
    await expect(send(server.url + DISPATCH, 'POST', { timeoutMs: 100 })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });

  test.each<[string, number, string, string, number]>([
    ['with a token', 201, TOKEN, '{"token":"t"}', 1],
    ['that refuses has a verdict', 403, TOKEN, '{}', 0],
    ['to a dispatch has a verdict', 204, DISPATCH, '', 0],
  ])('%s that was the last within the limit', async (_, status, path, body, reported) => {
    limits.length = 0;
    await using server = await serve((_request, response) =>
      response.writeHead(status, { 'x-ratelimit-remaining': '0' }).end(body),
    );
    await send(server.url + path);
    expect(limits).toHaveLength(reported);
  });
});
