import { expect, test } from 'vitest';
import { listen } from './http-server.ts';

const ANY_PORT = { host: '127.0.0.1', port: 0 };

test('listens on the address, on any free port for port 0', async () => {
  await using server = await listen(ANY_PORT, (_, response) => response.end('hello'));
  const response = await fetch(`http://127.0.0.1:${server.port}/`);
  expect(await response.text()).toBe('hello');
});

test('an address that is taken is told by its code', async () => {
  await using server = await listen(ANY_PORT, (_, response) => response.end());
  await expect(listen({ ...ANY_PORT, port: server.port }, () => undefined)).rejects.toMatchObject({
    code: 'EADDRINUSE',
    syscall: 'listen',
  });
});

test('disposing answers the request under way, then refuses', async () => {
  const arrived = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const server = await listen(ANY_PORT, async (_, response) => {
    arrived.resolve();
    await answer.promise;
    response.end('done');
  });
  const url = `http://127.0.0.1:${server.port}/`;
  const response = fetch(url);
  await arrived.promise;

  const disposed = server[Symbol.asyncDispose]();
  await expect(fetch(url)).rejects.toThrow();
  answer.resolve();
  expect(await (await response).text()).toBe('done');
  await disposed;
});

test('a connection that nobody uses does not hold up disposing', async () => {
  const server = await listen(ANY_PORT, (_, response) => response.end());
  await (await fetch(`http://127.0.0.1:${server.port}/`)).text();
  await server[Symbol.asyncDispose]();
});
