import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, readFileSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { parseBoardConfig } from '@flux-dispatch/board/config';
import { parseDispatcherConfig } from '@flux-dispatch/dispatcher/config';
import { parseIngestConfig } from '@flux-dispatch/ingest/config';
import type { Environment, Parsed } from '@flux-dispatch/runtime/env';
import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');
const ROOT = join(import.meta.dirname, '..');

test.each([
  { args: [], fault: 'No process is named' },
  { args: ['ingress'], fault: 'There is no process "ingress"' },
  { args: ['../apps/ingest'], fault: 'There is no process "../apps/ingest"' },
])('$args is no process: it says which there are', async ({ args, fault }) => {
  const child = spawn(process.execPath, [MAIN, ...args], { env: {} });
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
  expect(stderr).toBe(`${fault}: the command must be one of board, dispatcher, ingest\n`);
  expect(code).toBe(1);
});

test('arguments of a process: it says that it takes none, instead of doing without them', async () => {
  const child = spawn(process.execPath, [MAIN, 'dispatcher', '--dry-run'], { env: { DRY_RUN: 'true' } });
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  expect(JSON.parse(stdout)).toMatchObject({
    ...{ level: 'fatal', msg: expect.stringContaining('takes no arguments, but was given --dry-run') },
  });
  expect(code).toBe(1);
});

test.each([
  { option: '--version', stdout: /^flux-dispatch \d+\.\d+\.\d+ \(unknown\)\n$/ },
  { option: '--help', stdout: /^Usage: flux-dispatch PROCESS\n.*: board, dispatcher, ingest\.\n/s },
])('$option: to stdout, with exit code 0', async ({ option, stdout }) => {
  const child = spawn(process.execPath, [MAIN, option], { env: {} });
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ]);
  expect(out).toMatch(stdout);
  expect(err).toBe('');
  expect(code).toBe(0);
});

describe('the variables of the README', () => {
  const READS: Record<string, (env: Environment) => Parsed<object>> = {
    ...{ ingest: parseIngestConfig, dispatcher: parseDispatcherConfig, board: parseBoardConfig },
  };
  const [, configuration = ''] =
    /\n### Configuration\n(.*?)\n### /s.exec(readFileSync(join(ROOT, 'README.md'), 'utf8')) ?? [];
  const documented = [...configuration.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(
    ([, variable]) => variable ?? '',
  );

  test.each(Object.entries(READS))('of other processes do not look misspelt to %s', (_, read) => {
    expect(documented.length).toBeGreaterThan(30);
    const parsed = read(Object.fromEntries(documented.map(variable => [variable, '\n'])));
    const faults = parsed.ok ? [] : parsed.faults.map(({ message }) => message);
    expect(faults.filter(message => message.includes('did you mean'))).toEqual([]);
  });
});

test('SIGTERM before the app handles it: it ends in order all the same', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-main-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const tokenPath = join(folder, 'token');
  await promisify(execFile)('mkfifo', [tokenPath]);

  // It reads the token before it handles signals, and waits there for what is written into the pipe.
  const child = spawn(process.execPath, [MAIN, 'ingest'], {
    env: {
      ...{ HMAC_TOKEN_PATH: tokenPath, REDIS_URL: 'redis://127.0.0.1:1' },
      ...{ LISTEN_ADDR: '127.0.0.1:0', METRICS_ADDR: '127.0.0.1:0' },
    },
    stdio: 'ignore',
  });
  stack.defer(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  const pipe = await until('it waits for the token', () => openForReader(tokenPath));
  child.kill('SIGTERM');
  await pipe.write('token');
  await pipe.close();
  expect(await exited).toEqual([0, null]);
});

/** Opens a pipe for writing, if somebody has opened it for reading. */
async function openForReader(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO') return undefined;
    throw error;
  }
}
