import { expect, test } from 'vitest';
import { watchProgress } from './progress.ts';

const DUE = { due: true, held: false };

/** A worker of concurrency 1 that is watched, with a clock of its own. */
function watch(look: () => typeof DUE) {
  let now = 0;
  const progress = watchProgress(
    async () => look(),
    1,
    () => now,
  );
  return {
    progress,
    /** Looks every 5 s for so long. */
    async pass(seconds: number) {
      for (const end = now + seconds * 1000; now < end; now += 5000) await progress.check();
    },
  };
}

test('jobs that have been due for over a minute, and none taken: not alive', async () => {
  using worker = disposable(watch(() => DUE));
  await worker.pass(60);
  expect(await worker.progress.alive()).toBeUndefined();
  await worker.pass(10);
  expect(await worker.progress.alive()).toMatch(/takes none: restart it/);
});

test.each([
  ['nothing is due', () => ({ due: false, held: false })],
  ['the pace or a pause holds the queue back', () => ({ due: true, held: true })],
  [
    'Redis is away',
    () => {
      throw new Error('Connection is closed.');
    },
  ],
  [
    'Redis refuses writes',
    () => {
      throw new Error('Redis refuses writes: NOREPLICAS Not enough good replicas to write');
    },
  ],
])('alive while %s', async (_, look) => {
  using worker = disposable(watch(look));
  await worker.pass(600);
  expect(await worker.progress.alive()).toBeUndefined();
});

test('a job that is taken is a sign of life', async () => {
  using worker = disposable(watch(() => DUE));
  await worker.pass(90);
  await worker.progress.watched(async () => undefined)('job');
  expect(await worker.progress.alive()).toBeUndefined();
});

test('a worker that has its hands full is alive, until they are empty again', async () => {
  using worker = disposable(watch(() => DUE));
  let finish: (() => void) | undefined;
  const job = worker.progress.watched(() => new Promise<void>(resolve => (finish = resolve)))('slow');
  await worker.pass(600);
  expect(await worker.progress.alive()).toBeUndefined();
  finish?.();
  await job;
  await worker.pass(90);
  expect(await worker.progress.alive()).toBeDefined();
});

function disposable<T extends { progress: Disposable }>(value: T): T & Disposable {
  return { ...value, [Symbol.dispose]: () => value.progress[Symbol.dispose]() };
}
