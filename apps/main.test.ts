import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { until } from '@flux-dispatch/testbed/until';
import { expect, test } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

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
