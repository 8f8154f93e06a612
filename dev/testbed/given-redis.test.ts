import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { inspect } from 'node:util';
import { explainConnectionError } from '@flux-dispatch/queue/connection-error';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { givenRedis } from './given-redis.ts';
import { acquireRedis } from './redis.ts';

const path = inject('path');
const stack = new AsyncDisposableStack();
const ports: Record<string, number> = {};
let folder = '';

async function listen(name: string, server: Server): Promise<void> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  ports[name] = (server.address() as AddressInfo).port;
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', socket => sockets.add(socket));
  stack.defer(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
}

/** A Redis to which these commands were sent once it had started. */
async function startRedis(name: string, commands: string[][], args: string[] = []): Promise<void> {
  const { url } = stack.use(
    await acquireRedis({ path, controllable: true, ways: ['PATH', 'apt-get'], args }),
  );
  ports[name] = Number(new URL(url).port);
  const redis = new Redis(url);
  for (const [command = '', ...rest] of commands) await redis.call(command, ...rest);
  redis.disconnect();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-given-redis-'));
  stack.defer(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'right'), 'p@ss %40/word\n');
  await writeFile(join(folder, 'wrong'), 'wrong-secret\n');
  await startRedis('plain', []);
  await startRedis('password', [['CONFIG', 'SET', 'requirepass', 'p@ss %40/word']]);
  await startRedis('replica', [['REPLICAOF', '127.0.0.1', `${ports['plain']}`]]);
  const primary = ['127.0.0.1', `${ports['plain']}`];
  await startRedis('sentinel', [['SENTINEL', 'MONITOR', 'main', ...primary, '1']], ['--sentinel']);
  const http = createHttpServer((_, answer) => answer.end('not Redis'));
  await listen('http', http);
  await listen('hung', createServer());
  await listen('tls', createTlsServer());
}, 300_000);
afterAll(() => stack.disposeAsync());

/** With the ports of the servers and the folder in the place of `{name}`. */
function filledIn(text: string): string {
  return text.replace(/\{(\w+)\}/g, (_, name) => (name === 'folder' ? folder : `${ports[name]}`));
}
function environment(variables: Readonly<Record<string, string>>) {
  return Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, filledIn(value)]));
}

const PASSWORD = encodeURIComponent('p@ss %40/word');

it.each([
  { REDIS_URL: 'redis://127.0.0.1:{plain}' },
  { REDIS_URL: 'redis://127.0.0.1:{plain}/2' },
  { REDIS_URL: `redis://:${PASSWORD}@127.0.0.1:{password}` },
  { REDIS_URL: 'redis://:wrong@127.0.0.1:{password}', REDIS_PASSWORD_PATH: '{folder}/right' },
  { REDIS_URL: 'redis-sentinel://127.0.0.1:{sentinel}/main' },
])('is used: %o', async variables => {
  const given = environment(variables);
  await using redis = await givenRedis(given, { withinMs: 20_000 });
  // A process is given the variables as they are.
  expect(redis).toMatchObject({ origin: 'REDIS_URL', env: given });
  if (given['REDIS_URL']?.startsWith('redis-sentinel:')) return;
  const client = new Redis(redis.url);
  expect(await client.ping()).toBe('PONG');
  client.disconnect();
});

it.for([
  [
    'redis://:wrong-secret@127.0.0.1:{password}',
    'Redis at 127.0.0.1:{password} rejected the password of REDIS_URL',
  ],
  [
    'redis://u:wrong-secret@127.0.0.1:{plain}',
    'Redis at 127.0.0.1:{plain} rejected the password of REDIS_URL',
  ],
  [
    'redis://127.0.0.1:{password}',
    'Redis at 127.0.0.1:{password} requires a password: put it into REDIS_URL',
  ],
  ['redis://127.0.0.1:1', 'nothing listens on 127.0.0.1:1'],
  ['redis://[::1]:1', /nothing listens on \[::1\]:1|cannot be used .*(EADDRNOTAVAIL|EAFNOSUPPORT)/],
  // Without a network, the resolver may take longer than that.
  ['redis://redis.invalid:6379', /the host name "redis.invalid" does not resolve|did not answer within/],
  ['redis://127.0.0.1:{http}', 'what answers on 127.0.0.1:{http} is not Redis'],
  ['redis://127.0.0.1:{hung}', '127.0.0.1:{hung} did not answer within 2.5 s'],
  ['rediss://127.0.0.1:{plain}', /speaks? TLS.* write redis:\/\/ instead of rediss:\/\//],
  [
    'rediss://127.0.0.1:{http}',
    '127.0.0.1:{http} does not speak TLS: for a Redis without TLS write redis://',
  ],
  ['redis://127.0.0.1:{tls}', '127.0.0.1:{tls} closed the connection. If it expects TLS, write rediss://'],
  ['redis://127.0.0.1:{replica}', 'Redis at 127.0.0.1:{replica} is a read-only replica: name its primary'],
  ['redis://127.0.0.1:{plain}/99', 'Redis at 127.0.0.1:{plain} has no database 99'],
  ['redis-sentinel://127.0.0.1:1/main', 'no sentinel says where the primary "main" is, asked: 127.0.0.1:1'],
  ['redis-sentinel://127.0.0.1:{sentinel}/other', 'no sentinel says where the primary "other" is'],
  ['redis-sentinel://127.0.0.1:{hung}/main', 'no sentinel says where the primary "main" is'],
  ['127.0.0.1:6379', 'REDIS_URL must be redis://host:6379'],
  ['redis://:wrong-secret%@127.0.0.1', 'REDIS_URL must be redis://host:6379'],
] as const)('is refused, without the password in the error: %s', async ([redisUrl, reason]) => {
  // Only these depend on time running out; the others have plenty, for a busy machine.
  const waits = /hung|rediss:.*plain|redis\.invalid/.test(redisUrl);
  const given = { REDIS_URL: filledIn(redisUrl) };
  const failure = await givenRedis(given, { withinMs: waits ? 2500 : 20_000 }).catch(error => error);
  if (typeof reason === 'string') expect(failure.message).toContain(filledIn(reason));
  else expect(failure.message).toMatch(reason);
  expect(inspect(failure, { depth: 10 })).not.toMatch(/wrong-secret/);
});

it.each([
  { REDIS_PASSWORD_PATH: '{folder}/wrong', message: 'rejected the password of REDIS_PASSWORD_PATH' },
  {
    REDIS_PASSWORD_PATH: '{folder}/absent',
    message: /REDIS_PASSWORD_PATH must name a readable file: .* does not exist/,
  },
])('names the password file: $message', async ({ message, ...variables }) => {
  const given = environment({ REDIS_URL: 'redis://127.0.0.1:{password}', ...variables });
  await expect(givenRedis(given, { withinMs: 20_000 })).rejects.toThrow(message);
});

describe('where the URL alone must lead to it', () => {
  it.each([
    { REDIS_URL: 'redis-sentinel://127.0.0.1:1/main', message: 'REDIS_URL names sentinels' },
    { REDIS_URL: 'rediss://127.0.0.1:1', REDIS_CA_PATH: '/ca.pem', message: 'REDIS_CA_PATH is set' },
  ])('$message', async ({ message, ...given }) => {
    await expect(givenRedis(given, { urlAlone: true })).rejects.toThrow(message);
  });
});

it('says what to do about a certificate that is not trusted', () => {
  const error = { code: 'DEPTH_ZERO_SELF_SIGNED_CERT', message: 'self-signed certificate; if the root CA …' };
  const location = { host: 'redis.example', port: 6380, tls: {} };
  expect(explainConnectionError(error, { REDIS_URL: location }, 2500)).toBe(
    'the certificate of redis.example:6380 is not trusted (self-signed certificate): name its CA with REDIS_CA_PATH',
  );
});
