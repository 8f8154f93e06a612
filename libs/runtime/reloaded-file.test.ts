import { mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { reloadedFile } from './reloaded-file.ts';

const SECONDS = 1000;
// What SPEC section 7 allows.
const COUNTS_WITHIN = 30 * SECONDS;

let directory: string;
let path: string;
let now: number;
let parses: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flux-dispatch-reloaded-'));
  path = join(directory, 'token');
  now = 0;
  parses = 0;
});
afterEach(() => rm(directory, { recursive: true }));

function token(): () => Promise<string> {
  return reloadedFile(
    path,
    content => {
      parses++;
      if (content.length === 0) throw new Error('it is empty');
      return content.toString();
    },
    () => now,
  );
}

test('a change counts within 30 s, and the file is not read at every call until then', async () => {
  await writeFile(path, 'old');
  const current = token();
  expect(await current()).toBe('old');

  await writeFile(path, 'new');
  now += 1 * SECONDS;
  expect(await current()).toBe('old');
  now += COUNTS_WITHIN;
  expect(await current()).toBe('new');
});

test("a change by Kubernetes' swap of a symlink counts too", async () => {
  await writeFile(join(directory, '1'), 'old');
  await writeFile(join(directory, '2'), 'new');
  await symlink('1', path);
  const current = token();
  expect(await current()).toBe('old');

  await symlink('2', join(directory, 'next'));
  await rename(join(directory, 'next'), path);
  now += COUNTS_WITHIN;
  expect(await current()).toBe('new');
});

test('the same content is parsed once, however often it is read', async () => {
  await writeFile(path, 'token');
  const current = token();
  for (let reads = 0; reads < 3; reads++) {
    await current();
    now += COUNTS_WITHIN;
  }
  expect(parses).toBe(1);
});

test('calls at the same time share one read', async () => {
  await writeFile(path, 'token');
  const current = token();
  const [first, second] = [current(), current()];
  expect(second).toBe(first);
  expect(await first).toBe('token');
});

describe('what cannot be had throws, at every call, until it can', () => {
  test('a file that is not there yet', async () => {
    const current = token();
    await expect(current()).rejects.toThrow('ENOENT');
    await expect(current()).rejects.toThrow('ENOENT');
    await writeFile(path, 'token');
    expect(await current()).toBe('token');
  });

  test('a file that becomes unreadable to `parse`', async () => {
    await writeFile(path, 'token');
    const current = token();
    await current();

    await writeFile(path, '');
    now += COUNTS_WITHIN;
    await expect(current()).rejects.toThrow('it is empty');
    await expect(current()).rejects.toThrow('it is empty');
    await writeFile(path, 'token');
    expect(await current()).toBe('token');
  });
});
