import { createLogger } from '@flux-dispatch/runtime/log';
import { describe, expect, test } from 'vitest';
import { createRefusalLog, failureText, refusalOf, refusalText } from './refusals.ts';

const OOM = "OOM command not allowed when used memory > 'maxmemory'";
const NOREPLICAS = 'NOREPLICAS Not enough good replicas to write';
const scripted = (message: string) => `${message} script: ${'6aff03ec'.repeat(5)}, on @user_script:1.`;

test.each([
  [`${OOM}.`, OOM, /raise maxmemory/, true],
  [scripted(`${OOM}.`), OOM, /raise maxmemory/, true],
  [`${NOREPLICAS}.`, NOREPLICAS, /min-replicas-to-write/, true],
  ['MISCONF Errors writing to the AOF file: No space left', /^MISCONF/, /disk/, true],
  ["READONLY You can't write against a read only replica.", /^READONLY/, /primary/, true],
  ["NOPERM this user has no permissions to run the 'set' command", /^NOPERM/, /ACL/, false],
  [
    scripted("ERR The user executing the script can't run this command or subcommand"),
    /^ERR The user/,
    /ACL/,
    false,
  ],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', /^WRONGTYPE/, /remove it/, false],
  ['MOVED 3999 10.0.0.7:6381', 'MOVED', /Redis Cluster/, false],
  ['BUSY Redis is busy running a script.', /^BUSY/, /not ready/, true],
  ['LOADING Redis is loading the dataset in memory', /^LOADING/, /not ready/, true],
  ['CLUSTERDOWN Hash slot not served', /^CLUSTERDOWN/, /Redis Cluster/, true],
])('%j is a refusal, with what to do about it', (message, reason, remedy, passes) => {
  expect(refusalOf(new Error(message))).toEqual({
    reason: typeof reason === 'string' ? reason : expect.stringMatching(reason),
    remedy: expect.stringMatching(remedy),
    passes,
  });
});

test.each([
  new Error('Connection is closed.'),
  new Error('NOSCRIPT No matching script. Please use EVAL.'),
  new Error('ERR unknown command'),
  'OOM',
  undefined,
])('%s is none', error => {
  expect(refusalOf(error)).toBeUndefined();
});

test('what is no refusal is passed on as it is', () => {
  expect(failureText(new Error('Connection is closed.'))).toBe('Redis: Connection is closed.');
});

test('in one line', () => {
  expect(refusalText({ reason: NOREPLICAS, remedy: 'Bring them back' })).toBe(
    'Redis refuses writes: NOREPLICAS Not enough good replicas to write. Bring them back',
  );
});

describe('the log', () => {
  function open() {
    const lines: string[] = [];
    let now = 0;
    const write = (line: string) => {
      const { level, reason } = JSON.parse(line);
      lines.push(`${level} ${reason.split(' ')[0]}`);
    };
    const refusals = createRefusalLog(createLogger('test', 'info', { write }), () => now);
    const refused = (message: string, name = 'evalsha') =>
      refusals.notice(Object.assign(new Error(message), { command: { name } }));
    /** Seconds in which Redis takes writes. */
    const pass = (seconds: number) => {
      now += seconds * 1000;
      refusals.takesWrites();
    };
    return { lines, refused, pass };
  }

  test('says once that a refusal has begun, and once that it is over', () => {
    const { lines, refused, pass } = open();
    for (let n = 0; n < 100; n++) {
      refused(`${OOM}.`);
      refused(scripted(OOM));
      pass(1);
    }
    expect(lines).toEqual(['warn OOM']);
    pass(20);
    pass(20);
    expect(lines).toEqual(['warn OOM', 'info OOM']);
    refused(OOM);
    expect(lines).toEqual(['warn OOM', 'info OOM', 'warn OOM']);
  });

  test('tells two refusals apart, however they alternate', () => {
    const { lines, refused, pass } = open();
    for (let n = 0; n < 10; n++) {
      refused(OOM);
      refused(NOREPLICAS);
      pass(1);
    }
    expect(lines).toEqual(['warn OOM', 'warn NOREPLICAS']);
  });

  test('does not mention commands that are not needed, nor other errors', () => {
    const { lines, refused } = open();
    refused("NOPERM this user has no permissions to run the 'info' command", 'info');
    refused('NOSCRIPT No matching script. Please use EVAL.');
    expect(lines).toEqual([]);
  });

  test('is bounded where a server words the same refusal differently each time', () => {
    const { lines, refused } = open();
    for (let n = 0; n < 1000; n++) refused(`NOPERM no permission ${n}`);
    expect(lines).toHaveLength(20);
  });
});
