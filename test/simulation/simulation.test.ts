import { expect, inject, test } from 'vitest';
import { createHistory } from './history.ts';
import { runHistory } from './run.ts';

// More of them: npm run simulate -- --seeds 200
test.each([7])(
  'the processes do what the model says, in the histories of seed %s',
  { timeout: 600_000 },
  async seed => {
    const now = Math.floor(Date.now() / 1000);
    const history = createHistory({ seed, objects: 6, weeks: 1, now });
    const { differences, dispatches } = await runHistory(inject('redisUrl'), history);
    expect(differences).toEqual([]);
    expect(dispatches).toBeGreaterThan(10);
  },
);
