import fc from 'fast-check';
import { expect, test } from 'vitest';
import { drawRun, resolvePlan, runPlanSchema } from './run-plan.ts';

test('what a plan leaves out is as in the more general ones', () => {
  expect(resolvePlan()).toEqual({
    ...{ delayMs: 0, durationMs: 1000, conclusions: ['success'], missing: false, seed: 1 },
  });
  const general = { delayMs: 5, conclusion: 'failure', missing: true };
  const special = { delayMs: [1, 2] as [number, number], missing: false };
  expect(resolvePlan(general, undefined, special)).toEqual({
    ...{ delayMs: [1, 2], durationMs: 1000, conclusions: ['failure'], missing: false, seed: 1 },
  });
});

test('conclusions are taken in turn', () => {
  const plan = resolvePlan({ conclusion: ['success', 'failure', 'cancelled'] });
  const drawn = [0, 1, 2, 3].map(turn => drawRun(plan, 'w', turn).conclusion);
  expect(drawn).toEqual(['success', 'failure', 'cancelled', 'success']);
});

test('ranges are drawn from, the same with the same seed', () => {
  const range = fc
    .tuple(fc.nat(100_000), fc.nat(100_000))
    .map(([least, more]): [number, number] => [least, least + more]);
  fc.assert(
    fc.property(range, range, fc.integer(), fc.nat(), (delayMs, durationMs, seed, turn) => {
      const plan = resolvePlan({ delayMs, durationMs, seed });
      const drawn = drawRun(plan, 'w', turn);
      expect(drawRun(plan, 'w', turn)).toEqual(drawn);
      for (const [value, [least, most]] of [
        [drawn.delayMs, delayMs],
        [drawn.durationMs, durationMs],
      ] as const) {
        expect(value).toBeGreaterThanOrEqual(least);
        expect(value).toBeLessThanOrEqual(most);
      }
    }),
    { seed: 7 },
  );
});

test('what is drawn differs by seed, workflow and turn', () => {
  const draw = (seed: number, workflow: string, turn: number) =>
    drawRun(resolvePlan({ delayMs: [0, 1_000_000], seed }), workflow, turn).delayMs;
  expect(new Set([draw(1, 'a', 0), draw(2, 'a', 0), draw(1, 'b', 0), draw(1, 'a', 1)]).size).toBe(4);
});

test.each([
  [{ delayMs: -1 }, 'must be milliseconds'],
  [{ delayMs: '1 s' }, 'must be milliseconds'],
  [{ durationMs: [5, 4] }, 'must be milliseconds'],
  [{ conclusion: [] }, 'conclusion'],
  [{ conclusions: ['success'] }, '"conclusions"'],
])('%j is no plan', (plan, fault) => {
  expect(() => runPlanSchema.parse(plan)).toThrow(fault);
});
