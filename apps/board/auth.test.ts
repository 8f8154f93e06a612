import { createLogger } from '@flux-dispatch/runtime/log';
import { describe, expect, test } from 'vitest';
import { parseNetworks } from './address.ts';
import { basic, none, proxy, type Sender } from './auth.ts';

const log = createLogger('test', 'silent');
const PROXIES = parseNetworks('10.0.0.0/8,fd00::/8') ?? [];

/** A request with these headers from this address. */
function from(remoteAddress: string, headers: Record<string, string> = {}): Sender {
  const headersDistinct = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
  return { socket: { remoteAddress }, headers, headersDistinct };
}

const authorization = (user: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});
const wrong = authorization('operator', 'wrong');
const right = authorization('operator', 'blåbær: syltetøy');

function signIn({ password = async () => 'blåbær: syltetøy' as string | undefined } = {}) {
  return basic('operator', password, PROXIES, log);
}

describe('basic', () => {
  test.each([
    ['the right password', right, 200],
    ['a wrong password', wrong, 401],
    ['a wrong user', authorization('somebody', 'blåbær: syltetøy'), 401],
    ['the beginning of the password', authorization('operator', 'blåbær'), 401],
    ['no password', authorization('operator', ''), 401],
    ['no header', {}, 401],
    ['another scheme', { authorization: 'Bearer abc' }, 401],
    ['no Base64', { authorization: 'Basic %%%' }, 401],
  ])('%s', async (_, headers, status) => {
    const identity = await signIn()(from('192.0.2.1', headers as Record<string, string>));
    expect(identity.ok ? 200 : identity.status).toBe(status);
  });

  test('without a password that could be read, nobody is let in', async () => {
    const authenticate = signIn({ password: async () => undefined });
    expect(await authenticate(from('192.0.2.1', authorization('operator', '')))).toMatchObject({
      status: 401,
    });
    expect(await authenticate(from('192.0.2.1', authorization('operator', 'undefined')))).toMatchObject({
      status: 401,
    });
  });

  test('ten wrong tries slow a client down, and no other', async () => {
    const authenticate = signIn();
    const statuses: (number | boolean)[] = [];
    const attempt = async (address: string, headers: Record<string, string>) => {
      const identity = await authenticate(from(address, headers));
      return identity.ok || identity.status;
    };
    for (let n = 0; n < 12; n++) statuses.push(await attempt('192.0.2.1', wrong));
    expect(statuses).toEqual([...Array(10).fill(401), 429, 429]);
    expect(await attempt('192.0.2.1', right)).toBe(429);
    // Two, since one in a few thousand shares the counter.
    expect([await attempt('192.0.2.2', right), await attempt('192.0.2.3', right)]).toContain(true);
    // A request without a password is no try.
    expect(await attempt('192.0.2.1', {})).toBe(401);
  });

  test('what is right is no try: a page of many parts opens at once', async () => {
    const authenticate = signIn();
    const parts = await Promise.all(Array.from({ length: 50 }, () => authenticate(from('192.0.2.1', right))));
    expect(parts.every(({ ok }) => ok)).toBe(true);
  });

  test.each([
    ['one IPv6 network', (n: number) => from(`2001:db8::${n}`, wrong), 429],
    [
      'one address behind the proxy',
      () => from('10.1.1.1', { ...wrong, 'x-forwarded-for': '192.0.2.1' }),
      429,
    ],
    [
      'an address that a client invents',
      n => from('192.0.2.1', { ...wrong, 'x-forwarded-for': `192.0.2.${n}` }),
      429,
    ],
    [
      'an address that a client invents before the proxy',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `192.0.2.${n}, 192.0.2.1` }),
      429,
    ],
    [
      'different addresses behind the proxy',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `192.0.2.${n}` }),
      401,
    ],
    [
      'different addresses behind a proxy that names their ports',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `[2001:db8:${n}::1]:4711` }),
      401,
    ],
    [
      'an address that a client invents before a proxy that names ports',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `203.0.113.${n}, 198.51.100.7:${4000 + n}` }),
      429,
    ],
    [
      'an address that a client invents before a proxy that names nobody',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `203.0.113.${n}, unknown` }),
      429,
    ],
    [
      'different addresses behind two proxies',
      n => from('10.1.1.1', { ...wrong, 'x-forwarded-for': `203.0.113.1, 192.0.2.${n}, 10.9.9.9` }),
      401,
    ],
  ] satisfies [string, (n: number) => Sender, number][])(
    'who counts as one client: %s',
    async (_, request, last) => {
      const authenticate = signIn();
      let identity = await authenticate(request(1));
      for (let n = 2; n <= 12; n++) identity = await authenticate(request(n));
      expect(identity).toMatchObject({ status: last });
    },
  );
});

describe('proxy', () => {
  const authenticate = proxy('x-user', PROXIES);
  test.each([
    ['10.1.2.3', { 'x-user': 'kari' }, 'kari'],
    ['::ffff:10.1.2.3', { 'x-user': 'kari' }, 'kari'],
    ['fd00::1', { 'x-user': 'kari@example.com' }, 'kari@example.com'],
    // Node reads a header as latin1, and proxies write UTF-8.
    ['10.1.2.3', { 'x-user': Buffer.from('Kåre').toString('latin1') }, 'Kåre'],
    ['10.1.2.3', { 'x-user': Buffer.from('Kåre', 'latin1').toString('latin1') }, 'Kåre'],
    ['10.1.2.3', {}, 401],
    ['10.1.2.3', { 'x-user': ' ' }, 401],
    ['10.1.2.3', { 'x-user': 'k'.repeat(201) }, 401],
    ['192.0.2.1', { 'x-user': 'kari' }, 403],
    ['::1', { 'x-user': 'kari' }, 403],
    ['192.0.2.1', { 'x-user': 'kari', 'x-forwarded-for': '10.1.2.3' }, 403],
    ['', { 'x-user': 'kari' }, 403],
  ])('%s with %o: %s', async (address, headers, expected) => {
    const identity = await authenticate(from(address, headers as unknown as Record<string, string>));
    expect(identity.ok ? identity.user : identity.status).toBe(expected);
  });

  test('a header that is there twice is not the word of the proxy alone', async () => {
    const request = { ...from('10.1.2.3'), headersDistinct: { 'x-user': ['kari', 'root'] } };
    expect(await authenticate(request)).toMatchObject({ ok: false, status: 401 });
  });
});

describe('none', () => {
  test.each([
    ['localhost:3000', true],
    ['127.0.0.1:3000', true],
    ['[::1]:3000', true],
    ['localhost', true],
    ['rebound.example:3000', false],
    ['127.0.0.1.rebound.example', false],
    ['', false],
  ])('as %s: %s', async (host, ok) => {
    expect(await none(from('127.0.0.1', { host }))).toMatchObject({ ok });
  });
});
