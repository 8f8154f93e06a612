import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { listen } from './http-server.ts';
import { listenFailure } from './listen-failure.ts';

const CONFIG = {
  LISTEN_ADDR: { host: undefined, port: 8080 },
  METRICS_ADDR: { host: '192.0.2.1', port: 9090 },
  BOARD_ADDR: { host: 'board.invalid', port: 80 },
  OTHER: 8080,
};

test.each([
  [
    { code: 'EADDRINUSE', syscall: 'listen', address: '::', port: 8080 },
    'Port 8080 is already in use: stop the other process or set LISTEN_ADDR',
  ],
  [
    { code: 'EACCES', syscall: 'listen', address: '::', port: 80 },
    'Port 80 needs privileges that this process does not have: set BOARD_ADDR to a port above 1023',
  ],
  [
    { code: 'EADDRNOTAVAIL', syscall: 'listen', address: '192.0.2.1', port: 9090 },
    'This machine does not have the address 192.0.2.1: set METRICS_ADDR to one that it has, or to :9090 for all',
  ],
  [
    { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'board.invalid' },
    'The host name "board.invalid" cannot be resolved: set BOARD_ADDR to an address of this machine, such as 127.0.0.1:8080 or :8080',
  ],
  [
    { code: 'EAFNOSUPPORT', syscall: 'listen', address: '::1', port: 8080 },
    'Cannot listen on port 8080 (EAFNOSUPPORT): check LISTEN_ADDR',
  ],
  [{ code: 'ECONNREFUSED', syscall: 'connect', port: 8080 }, undefined],
])('%o', (error, message) => {
  expect(listenFailure(Object.assign(new Error('failed'), error), CONFIG)).toBe(message);
});

test('two addresses with the same port are a fault of the configuration', () => {
  const config = { ...CONFIG, METRICS_ADDR: { host: undefined, port: 8080 } };
  const error = Object.assign(new Error(), { code: 'EADDRINUSE', syscall: 'listen', port: 8080 });
  expect(listenFailure(error, config)).toBe(
    'LISTEN_ADDR and METRICS_ADDR name the same port 8080: change one of them',
  );
});

test('it knows the errors that Node throws', async () => {
  await using other = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => other.once('listening', resolve));
  const taken = { host: '127.0.0.1', port: (other.address() as { port: number }).port };
  const error = await listen(taken, () => undefined).catch((error: unknown) => error);
  expect(listenFailure(error, { LISTEN_ADDR: taken })).toBe(
    `Port ${taken.port} is already in use: stop the other process or set LISTEN_ADDR`,
  );

  // TEST-NET-1 of RFC 5737: no machine has it.
  const elsewhere = { host: '192.0.2.1', port: 0 };
  const unavailable = await listen(elsewhere, () => undefined).catch((error: unknown) => error);
  expect(listenFailure(unavailable, { LISTEN_ADDR: elsewhere })).toMatch(
    /^This machine does not have the address 192\.0\.2\.1: set LISTEN_ADDR/,
  );
});
