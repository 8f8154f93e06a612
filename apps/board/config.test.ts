import type { Environment } from '@flux-dispatch/runtime/env';
import { describe, expect, test } from 'vitest';
import { parseBoardConfig } from './config.ts';

const BOARD_PASSWORD_PATH = import.meta.filename;
const basic = { BOARD_USERNAME: 'operator', BOARD_PASSWORD_PATH };
const proxy = { BOARD_AUTH: 'proxy', BOARD_PROXY_USER_HEADER: 'X-User', BOARD_TRUSTED_PROXIES: '10.0.0.0/8' };
const none = { BOARD_AUTH: 'none', BOARD_ADDR: '127.0.0.1:3000' };

const faultsOf = (env: Environment) => {
  const parsed = parseBoardConfig(env);
  return parsed.ok ? [] : parsed.faults.map(({ message }) => message);
};

test('a user name and a password are all that has to be given', () => {
  expect(parseBoardConfig(basic)).toMatchObject({
    ok: true,
    config: {
      BOARD_ADDR: { host: undefined, port: 3000 },
      BOARD_AUTH: 'basic',
      BOARD_READ_ONLY: false,
      ...basic,
    },
  });
});

test.each([
  [proxy],
  [{ ...proxy, BOARD_TRUSTED_PROXIES: '10.1.2.3, fd00::/8 ,::1' }],
  [none],
  [{ ...none, BOARD_ADDR: 'localhost:3000' }],
  [{ ...none, BOARD_ADDR: '[::1]:3000' }],
  [{ ...basic, BOARD_TRUSTED_PROXIES: '10.1.2.3', BOARD_READ_ONLY: 'true' }],
  [{ ...basic, BOARD_AUTH: '', BOARD_READ_ONLY: '1' }],
])('%o is complete', env => {
  expect(faultsOf(env)).toEqual([]);
});

describe('a wrong environment names the variable and what it must be', () => {
  test.each<[Environment, string[]]>([
    [{}, ['BOARD_USERNAME is required with', 'BOARD_PASSWORD_PATH is required with BOARD_AUTH=basic']],
    [{ ...basic, BOARD_PASSWORD_PATH: '/absent' }, ['BOARD_PASSWORD_PATH must name a readable file']],
    [
      { ...basic, BOARD_PASSWORD_PATH: '/dev/null' },
      ['BOARD_PASSWORD_PATH must name a readable file: /dev/null is empty'],
    ],
    [{ ...basic, BOARD_USERNAME: 'a:b' }, ['BOARD_USERNAME must be 1 to 100']],
    [{ ...basic, BOARD_AUTH: 'oauth' }, ['BOARD_AUTH must be basic or proxy or none']],
    [
      { BOARD_AUTH: 'proxy' },
      ['BOARD_PROXY_USER_HEADER is required with BOARD_AUTH=proxy', 'BOARD_TRUSTED_PROXIES is required with'],
    ],
    [{ ...proxy, BOARD_PROXY_USER_HEADER: 'Authorization' }, ['BOARD_PROXY_USER_HEADER must be']],
    [
      { ...proxy, BOARD_TRUSTED_PROXIES: 'ingress' },
      ['BOARD_TRUSTED_PROXIES must be a comma-separated list of addr'],
    ],
    [{ ...proxy, BOARD_TRUSTED_PROXIES: '10.0.0.0/33' }, ['BOARD_TRUSTED_PROXIES must be']],
    [{ ...proxy, BOARD_TRUSTED_PROXIES: '10.0.0.1,' }, ['BOARD_TRUSTED_PROXIES must be']],
    [{ BOARD_AUTH: 'none' }, ['BOARD_ADDR must be a loopback address']],
    [{ ...none, BOARD_ADDR: '0.0.0.0:3000' }, ['BOARD_ADDR must be a loopback address']],
    [{ ...none, BOARD_ADDR: '127.0.0.1.example:3000' }, ['BOARD_ADDR must be a loopback address']],
    [{ ...none, BOARD_ADDR: '3000' }, ['BOARD_ADDR must be an address such as']],
    [{ ...none, BOARD_READ_ONLY: 'yes' }, ['BOARD_READ_ONLY must be true, false, 1 or 0']],
  ])('%o', (env, must) => {
    expect(faultsOf(env)).toEqual(must.map(message => expect.stringContaining(message)));
  });
});
