import { Counter } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { HttpServer } from './http-server.ts';
import { createRegistry } from './metrics.ts';
import { listenOps, standardProbes } from './ops-server.ts';

let redisFault: string | undefined;
let server: HttpServer;
const stopping = new AbortController();
const registry = createRegistry({ name: 'flux-dispatch', version: '1.2.3', revision: 'abc' });
new Counter({ name: 'flux_dispatch_test_total', help: 'A test.', registers: [registry] }).inc();

beforeAll(async () => {
  const probes = standardProbes(async () => redisFault, stopping.signal);
  server = await listenOps({ host: '127.0.0.1', port: 0 }, probes, registry);
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(() => {
  redisFault = undefined;
});

async function call(path: string, method = 'GET') {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('probes', () => {
  test('a process that is well', async () => {
    for (const path of ['/healthz', '/readyz']) {
      const { status, text } = await call(path);
      expect([status, JSON.parse(text)]).toEqual([200, { status: 'ok' }]);
      expect((await call(path, 'HEAD')).status).toBe(200);
    }
  });

  test('while Redis is away it is alive but not ready, and says why', async () => {
    redisFault = 'Redis is away (reconnecting)';
    expect((await call('/healthz')).status).toBe(200);
    const { status, text } = await call('/readyz');
    expect([status, JSON.parse(text)]).toEqual([503, { status: 'unavailable', reason: redisFault }]);

    redisFault = undefined;
    expect((await call('/readyz')).status).toBe(200);
  });
});

test('/metrics is in the format of Prometheus', async () => {
  const { status, headers, text } = await call('/metrics');
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe(registry.contentType);
  expect(text).toContain('\nflux_dispatch_test_total 1\n');
});

test.each([
  ['POST', '/healthz'],
  ['POST', '/metrics'],
  ['GET', '/'],
  ['GET', '/healthz/'],
])('%s %s is not there', async (method, path) => {
  expect((await call(path, method)).status).toBe(404);
});

test('a process that stops is alive but not ready, whatever Redis says', async () => {
  stopping.abort();
  expect((await call('/healthz')).status).toBe(200);
  const { status, text } = await call('/readyz');
  expect([status, JSON.parse(text)]).toEqual([503, { status: 'unavailable', reason: 'shutting down' }]);
});
