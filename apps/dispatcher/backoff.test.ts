import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoff } from './backoff.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

test.each([
  [1, 1 * SECOND, 1.5 * SECOND],
  [2, 2 * SECOND, 3 * SECOND],
  [3, 4 * SECOND, 6 * SECOND],
  [9, 256 * SECOND, 384 * SECOND],
  [10, 400 * SECOND, 10 * MINUTE],
  [1000, 400 * SECOND, 10 * MINUTE],
])('after failure %i it waits from %i to %i ms', (attempt, shortest, longest) => {
  expect(backoff(attempt, 0)).toBe(shortest);
  expect(backoff(attempt, 1)).toBe(longest);
});

const attempts = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const random = fc.double({ min: 0, max: 1, noNaN: true });

test('it never waits under 1 s or over 10 min, and never under what it would without jitter', () => {
  fc.assert(
    fc.property(attempts, random, (attempt, random) => {
      const ms = backoff(attempt, random);
      expect(ms).toBeGreaterThanOrEqual(Math.max(SECOND, backoff(attempt, 0)));
      expect(ms).toBeLessThanOrEqual(10 * MINUTE);
    }),
  );
});

test('it never waits less for one failure more', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), random, (attempt, random) => {
      expect(backoff(attempt + 1, random)).toBeGreaterThanOrEqual(backoff(attempt, random));
    }),
  );
});

test('what failed together does not come back together', () => {
  expect(new Set(Array.from({ length: 20 }, () => backoff(10))).size).toBeGreaterThan(1);
});
