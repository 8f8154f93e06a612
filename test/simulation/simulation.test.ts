import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { expect, inject, test } from 'vitest';
import { createHistory } from './history.ts';
import { MUTATIONS, mutated } from './mutations.ts';
import { runHistory } from './run.ts';

// More of them: npm run simulate -- --seeds 200
test.each([7])(
  'the processes do what the model says, in the histories of seed %s',
  { timeout: 600_000 },
  async seed => {
    const now = Math.floor(Date.now() / 1000);
    const history = createHistory({ seed, objects: 6, weeks: 1, now });
    await using redis = await acquireRedis({
      path: inject('path'),
      controllable: true,
      appendfsync: 'always',
    });
    const { differences, dispatches } = await runHistory(redis, history);
    expect(differences).toEqual([]);
    expect(dispatches).toBeGreaterThan(10);
  },
);

test.each(MUTATIONS)('a fault can be put into the sources: $name', async mutation => {
  const source = await readFile(join(import.meta.dirname, '../..', mutation.file), 'utf8');
  expect(mutated(source, mutation)).not.toBe(source);
});
