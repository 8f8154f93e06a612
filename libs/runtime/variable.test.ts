import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import {
  address,
  duration,
  flag,
  httpUrl,
  integer,
  list,
  matching,
  mountedFile,
  oneOf,
  rate,
  requiredWith,
} from './variable.ts';

const directory = mkdtempSync(join(tmpdir(), 'flux-dispatch-env-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** What a variable of this type makes of a value: the parsed value, or `undefined` where it is refused. */
function read(type: z.ZodType<unknown, string>, value: string): unknown {
  const parsed = type.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

describe('one variable', () => {
  test.each([
    ['1ms', 1],
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['14d', 1_209_600_000],
    ['24d', 2_073_600_000],
    ['25d', undefined],
    ['0s', undefined],
    ['10', undefined],
    ['s', undefined],
    ['10 s', undefined],
    ['1.5h', undefined],
    ['-1s', undefined],
    ['1h30m', 5_400_000],
    ['1h30m10s', 5_410_000],
    ['1m500ms', 60_500],
    ['0h5m', 300_000],
    ['90m30s', 5_430_000],
    ['1d12h', 129_600_000],
    ['23d23h59m59s999ms', 2_073_599_999],
    ['24d1ms', undefined],
    ['30m1h', undefined],
    ['1h1h', undefined],
    ['1h30', undefined],
    ['1h 30m', undefined],
    ['1h-30m', undefined],
    ['0h0m', undefined],
    ['h', undefined],
    ['10S', undefined],
  ])('duration %j is %j ms', (value, expected) => {
    expect(read(duration(), value)).toBe(expected);
  });

  test('a duration may have a minimum of its own, also none', () => {
    expect(read(duration({ min: '10ms' }), '9ms')).toBeUndefined();
    expect(read(duration({ min: '10ms' }), '10ms')).toBe(10);
    expect(read(duration({ min: '0s' }), '0s')).toBe(0);
  });

  test.each([
    [':8080', { host: undefined, port: 8080 }],
    [':0', { host: undefined, port: 0 }],
    ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['[::1]:8080', { host: '::1', port: 8080 }],
    ['8080', undefined],
    ['localhost', undefined],
    ['localhost:', undefined],
    [':65536', undefined],
    [':http', undefined],
    ['::1:8080', undefined],
    ['http://localhost:8080', undefined],
  ])('address %j is %j', (value, expected) => {
    expect(read(address, value)).toEqual(expected);
  });

  test.each([
    ['8/3s', { max: 8, per: 3000 }],
    ['1/1ms', { max: 1, per: 1 }],
    ['180/1m', { max: 180, per: 60_000 }],
    ['off', 'off'],
    ['8/1m30s', { max: 8, per: 90_000 }],
    ['0/3s', undefined],
    ['8/0s', undefined],
    ['8/25d', undefined],
    ['8/s', undefined],
    ['8', undefined],
    ['8/3', undefined],
    ['-8/3s', undefined],
    ['on', undefined],
  ])('rate %j is %j', (value, expected) => {
    expect(read(rate, value)).toEqual(expected);
  });

  const words = list(/^[a-z]+$/, 'words');
  test.each([
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a , b ', ['a', 'b']],
    ['a,', undefined],
    [',', undefined],
    ['a b', undefined],
  ])('list %j is %j', (value, expected) => {
    expect(read(words, value)).toEqual(expected);
  });

  test.each([
    ['true', true],
    ['false', false],
    ['TRUE', undefined],
    ['1', true],
    ['0', false],
    ['2', undefined],
    ['01', undefined],
    ['toString', undefined],
    ['yes', undefined],
  ])('flag %j is %j', (value, expected) => {
    expect(read(flag, value)).toBe(expected);
  });

  test.each([
    ['1', 1],
    ['10', 10],
    ['0', undefined],
    ['11', undefined],
    ['1.5', undefined],
    ['1e1', undefined],
    ['0x5', undefined],
    ['-1', undefined],
    [' 5', undefined],
  ])('integer from 1 to 10 %j is %j', (value, expected) => {
    expect(read(integer(1, 10), value)).toBe(expected);
  });

  test.each([
    ['https://api.github.com', 'https://api.github.com'],
    ['https://ghe.example/api/v3/', 'https://ghe.example/api/v3'],
    ['http://localhost:4000', 'http://localhost:4000'],
    ['api.github.com', undefined],
    ['ftp://api.github.com', undefined],
    ['https://', undefined],
  ])('http URL %j is %j', (value, expected) => {
    expect(read(httpUrl, value)).toBe(expected);
  });

  test('a word is one of a few, a text has its form', () => {
    expect(read(oneOf('info', 'warn'), 'warn')).toBe('warn');
    expect(read(oneOf('info', 'warn'), 'WARN')).toBeUndefined();
    expect(read(matching(/^\w+$/, 'a word'), 'a b')).toBeUndefined();
  });
});

describe('a mounted file', () => {
  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };

  test.each([
    ['that is there', file('token', 'secret'), undefined],
    ['that is not', join(directory, 'absent'), 'does not exist'],
    ['that is a directory', directory, 'cannot be read (EISDIR)'],
    ['that is empty', file('empty', ''), 'is empty'],
  ])('%s', (_, path, fault) => {
    const { success, error } = mountedFile().safeParse(path);
    expect(success).toBe(fault === undefined);
    if (fault) expect(error?.issues[0]?.message).toBe(`must name a readable file: ${path} ${fault}`);
  });

  test('whose content is looked at', () => {
    const even = mountedFile(content => {
      if (content.length % 2 === 1) throw new Error('is odd');
    });
    expect(even.safeParse(file('even', 'ab')).success).toBe(true);
    expect(even.safeParse(file('odd', 'abc')).error?.issues[0]?.message).toMatch(/is odd$/);
  });
});

test('a variable that another one requires', () => {
  const name = requiredWith('AUTH=basic', matching(/^\w+$/, 'a word'));
  expect(name.safeParse(undefined).error?.issues.map(({ message }) => message)).toEqual([
    'is required with AUTH=basic',
  ]);
  expect(name.safeParse('a b').error?.issues.map(({ message }) => message)).toEqual([
    'must be a word, not "a b"',
  ]);
  expect(read(name, 'ab')).toBe('ab');
});
