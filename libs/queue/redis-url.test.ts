import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { describe, expect, test } from 'vitest';
import { REDIS_VARIABLES } from './redis-config.ts';
import { parseRedisUrl } from './redis-url.ts';

describe('REDIS_URL', () => {
  test.each([
    ['redis://localhost', { host: 'localhost', port: 6379 }],
    ['redis://localhost:6380', { host: 'localhost', port: 6380 }],
    ['redis://localhost:6380/', { host: 'localhost', port: 6380 }],
    ['redis://localhost/3', { host: 'localhost', port: 6379, db: 3 }],
    ['redis://[::1]:6380', { host: '::1', port: 6380 }],
    ['redis://:secret@cache', { host: 'cache', port: 6379, password: 'secret' }],
    ['redis://app:secret@cache', { host: 'cache', port: 6379, username: 'app', password: 'secret' }],
    ['redis://app@cache', { host: 'cache', port: 6379, username: 'app' }],
    ['redis://:p%40ss%2Fw%3Ard%25@cache', { host: 'cache', port: 6379, password: 'p@ss/w:rd%' }],
    ['redis://:bl%C3%A5@cache', { host: 'cache', port: 6379, password: 'blå' }],
    ['rediss://cache:6380', { host: 'cache', port: 6380, tls: {} }],
    ['rediss://:secret@cache/1', { host: 'cache', port: 6379, password: 'secret', db: 1, tls: {} }],
  ])('%s', (url, expected) => {
    expect(parseRedisUrl(url)).toEqual(expected);
  });

  const sentinels = (...hosts: [string, number][]) => ({
    sentinels: hosts.map(([host, port]) => ({ host, port })),
    name: 'main',
  });
  test.each([
    ['redis-sentinel://h1/main', sentinels(['h1', 26_379])],
    ['redis-sentinel://h1:1,h2:2,h3/main', sentinels(['h1', 1], ['h2', 2], ['h3', 26_379])],
    ['redis-sentinel://[::1]:1,[::2]/main', sentinels(['::1', 1], ['::2', 26_379])],
    ['redis-sentinel://h1/main/2', { ...sentinels(['h1', 26_379]), db: 2 }],
    ['redis-sentinel://:s%40t@h1/main', { ...sentinels(['h1', 26_379]), password: 's@t' }],
    [
      'redis-sentinel://app:secret@h1,h2/main',
      expect.objectContaining({ username: 'app', password: 'secret' }),
    ],
    ['redis-sentinel://app@h1/main', { ...sentinels(['h1', 26_379]), username: 'app' }],
    ['redis-sentinel://h1/my%20main', expect.objectContaining({ name: 'my main' })],
  ])('%s', (url, expected) => {
    expect(parseRedisUrl(url)).toEqual(expected);
  });

  const WRONG = [
    ['nothing', ''],
    ['no scheme', 'cache:6379'],
    ['another scheme', 'http://:hunter2@cache'],
    ['no host', 'redis://:hunter2@'],
    ['no authority', 'redis:cache'],
    ['a port that is none', 'redis://:hunter2@cache:70000'],
    ['a database that is no number', 'redis://:hunter2@cache/main'],
    ['a password with a bare %', 'redis://:hunter2%off@cache'],
    ['a password whose escapes are no UTF-8', 'redis://:hunter2%ff@cache'],
    ['a password with a bare /', 'redis://:hunter2/x@cache'],
    ['a password with a bare #', 'redis://:hunter2#x@cache'],
    ['Sentinel without a name', 'redis-sentinel://:hunter2@h1:26379'],
    ['Sentinel with an empty host', 'redis-sentinel://:hunter2@h1,,h2/main'],
    ['Sentinel with a port that is none', 'redis-sentinel://:hunter2@h1:70000/main'],
    ['Sentinel with a password with a bare %', 'redis-sentinel://:hunter2%off@h1/main'],
    ['Sentinel with a name with a bare %', 'redis-sentinel://:hunter2@h1/ma%in'],
  ];

  test.each(WRONG)('%s is refused: %s', (_, url) => {
    expect(parseRedisUrl(url)).toBeUndefined();
  });

  test.each(WRONG.filter(([, url]) => url !== ''))('%s: the fault does not repeat the password', (_, url) => {
    const parsed = parseEnvironment(REDIS_VARIABLES, { REDIS_URL: url });
    if (parsed.ok) throw new Error('it was accepted');
    expect(parsed.faults).toEqual([
      { variable: 'REDIS_URL', message: expect.stringMatching(/^REDIS_URL must be redis:\/\/host:6379/) },
    ]);
    expect(JSON.stringify(parsed.faults)).not.toContain('hunter2');
  });
});

test.each([
  ['{flux-dispatch}', true],
  ['team-a', true],
  ['a:b', false],
  ['a b', false],
])('QUEUE_PREFIX %j: %s', (prefix, valid) => {
  expect(parseEnvironment(REDIS_VARIABLES, { QUEUE_PREFIX: prefix }).ok).toBe(valid);
});
