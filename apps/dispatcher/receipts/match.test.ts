import type { Run } from '@flux-dispatch/github/runs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactRuns, probableRuns, untitledRuns } from './match.ts';

const START = Date.parse('2026-03-05T12:00:00Z');

function run(id: number, seconds: number, title = 'flux-deploy', workflow_id = 1): Run {
  const created_at = START + seconds * 1000;
  return {
    ...{
      id,
      workflow_id,
      workflow: `w${workflow_id}`,
      title,
      status: 'queued',
      conclusion: null,
      created_at,
    },
    ...{ updated_at: created_at, url: `https://github.com/o/r/actions/runs/${id}` },
  };
}

const seeker = (dispatch_id: string, seconds: number) => ({
  dispatch_id,
  delivered_at: START + seconds * 1000,
});
const ids = (runs: readonly Run[]) => runs.map(({ id }) => id);
const NONE = new Map<number, string>();

describe('exact', () => {
  test('the dispatch id is anywhere in the title', () => {
    const runs = [
      run(1, 0, 'Deploy at23 (d-1)'),
      run(2, 0, 'flux-deploy'),
      run(3, 0, 'd-1'),
      run(4, 0, 'd-2'),
    ];
    expect(ids(exactRuns(runs, 'd-1'))).toEqual([1, 3]);
  });
});

describe('probable', () => {
  test('only what has the event type as its title, oldest first', () => {
    const runs = [run(3, 9), run(2, 5, 'flux-deploy-failed'), run(1, 1)];
    expect(ids(untitledRuns(runs, 'flux-deploy'))).toEqual([1, 3]);
  });

  test.each([
    [
      'dispatches and runs pair up in their order',
      ['a', 0, 'b', 10],
      [run(1, 3), run(2, 13)],
      { a: [1], b: [2] },
    ],
    ['also where both runs start late', ['a', 0, 'b', 1], [run(1, 30), run(2, 31)], { a: [1], b: [2] }],
    ['a run from before the delivery belongs to neither', ['a', 0], [run(1, -60)], { a: [] }],
    ['GitHub counts in seconds', ['a', 1], [run(1, 0)], { a: [1] }],
    [
      'two workflows are two runs of one dispatch',
      ['a', 0, 'b', 10],
      [run(1, 3), run(2, 4, 'flux-deploy', 2), run(3, 13), run(4, 14, 'flux-deploy', 2)],
      { a: [1, 2], b: [3, 4] },
    ],
    ['a third run finds no dispatch', ['a', 0], [run(1, 3), run(2, 4)], { a: [1] }],
  ] as const)('%s', (_, seekers, runs, expected) => {
    const all = Array.from({ length: seekers.length / 2 }, (_, index) =>
      seeker(seekers[2 * index] as string, seekers[2 * index + 1] as number),
    );
    for (const [id, own] of Object.entries(expected)) {
      expect(ids(probableRuns(id, all, untitledRuns(runs, 'flux-deploy'), NONE))).toEqual(own);
    }
  });

  test('what another dispatch has claimed stays with it', () => {
    const seekers = [seeker('a', 0), seeker('b', 1)];
    const claims = new Map([[1, 'b']]);
    expect(ids(probableRuns('a', seekers, [run(1, 3), run(2, 4)], claims))).toEqual([2]);
    expect(ids(probableRuns('b', seekers, [run(1, 3), run(2, 4)], claims))).toEqual([1]);
  });

  test('no run is given to two dispatches, and each dispatch gets at most one of a workflow', () => {
    const dispatches = fc.uniqueArray(fc.tuple(fc.uuid(), fc.integer({ min: 0, max: 60 })), {
      selector: ([id]) => id,
      maxLength: 8,
    });
    const runs = fc.array(fc.tuple(fc.integer({ min: -5, max: 90 }), fc.integer({ min: 1, max: 3 })), {
      maxLength: 12,
    });
    fc.assert(
      fc.property(dispatches, runs, (delivered, started) => {
        const seekers = delivered.map(([id, seconds]) => seeker(id, seconds));
        const untitled = untitledRuns(
          started.map(([seconds, workflow], index) => run(index + 1, seconds, 'flux-deploy', workflow)),
          'flux-deploy',
        );
        const given = seekers.map(({ dispatch_id, delivered_at }) => {
          const own = probableRuns(dispatch_id, seekers, untitled, NONE);
          expect(new Set(own.map(({ workflow_id }) => workflow_id)).size).toBe(own.length);
          for (const { created_at } of own) expect(created_at).toBeGreaterThanOrEqual(delivered_at - 2000);
          return own;
        });
        const all = ids(given.flat());
        expect(new Set(all).size).toBe(all.length);
      }),
    );
  });
});
