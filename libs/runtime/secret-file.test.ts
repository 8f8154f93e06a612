import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLogger } from './log.ts';
import { reloadedSecret } from './secret-file.ts';

// Longer than a change takes to count.
const LATER_MS = 30_000;

let directory: string;
let path: string;
let lines: Record<string, unknown>[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flux-dispatch-secret-'));
  path = join(directory, 'secret');
  lines = [];
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(directory, { recursive: true });
});

function secret(): () => Promise<string | undefined> {
  return reloadedSecret({
    variable: 'SECRET_PATH',
    path,
    parse(content) {
      if (content.length === 0) throw new Error('is empty');
      return content.toString();
    },
    log: createLogger('test', 'info', { write: line => lines.push(JSON.parse(line)) }),
  });
}

const later = () => vi.setSystemTime(Date.now() + LATER_MS);

describe('a file that can no longer be read', () => {
  test.each([
    ['as it is empty', () => writeFile(path, ''), 'is empty'],
    ['as it is gone', () => rm(path), expect.stringContaining('ENOENT')],
  ])(
    '%s: the last good content stays, with one line in the log until it recovers',
    async (_, spoil, reason) => {
      await writeFile(path, 'first');
      const current = secret();
      expect(await current()).toBe('first');
      await spoil();
      for (let reads = 0; reads < 3; reads++) {
        later();
        expect(await current()).toBe('first');
      }
      const msg = `SECRET_PATH (${path}) cannot be loaded: its last good content stays in use`;
      expect(lines).toMatchObject([{ level: 'error', variable: 'SECRET_PATH', reason, msg }]);

      await writeFile(path, 'second');
      later();
      expect(await current()).toBe('second');
      await spoil();
      later();
      expect(await current()).toBe('second');
      expect(lines).toHaveLength(2);
    },
  );
});

test('a file that could not be read yet: undefined, one line in the log, and a recovery', async () => {
  const current = secret();
  expect([await current(), await current()]).toEqual([undefined, undefined]);
  expect(lines).toMatchObject([{ msg: `SECRET_PATH (${path}) cannot be loaded` }]);

  await writeFile(path, 'first');
  expect(await current()).toBe('first');
});
