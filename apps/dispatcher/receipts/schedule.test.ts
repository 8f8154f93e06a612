import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastDue, nextLook, patience, type ReceiptTimes, settledAge } from './schedule.ts';

const DEFAULTS = { RUN_START_TIMEOUT: 600_000, RUN_FOLLOW_TIMEOUT: 21_600_000 };

/** The ages of the first looks, in seconds. */
function looks(times: ReceiptTimes, count: number): number[] {
  const ages: number[] = [];
  for (let age = 0; ages.length < count; ) {
    age = nextLook(age, times);
    ages.push(age / 1000);
  }
  return ages;
}

describe('when a receipt is looked at', () => {
  test.each([
    ['by default', DEFAULTS, [5, 15, 30, 60, 120, 240, 360, 480, 600, 720]],
    ['at RUN_START_TIMEOUT', { ...DEFAULTS, RUN_START_TIMEOUT: 20_000 }, [5, 15, 20, 30, 60, 120, 240]],
    ['where that is at once', { ...DEFAULTS, RUN_START_TIMEOUT: 1000 }, [1, 5, 15, 30]],
    [
      'where that is between two',
      { ...DEFAULTS, RUN_START_TIMEOUT: 300_000 },
      [5, 15, 30, 60, 120, 240, 300, 360],
    ],
  ])('%s', (_, times, ages) => {
    expect(looks(times, ages.length)).toEqual(ages);
  });

  test('never later than 2 minutes after the last look, and what was due is the last look', () => {
    const ages = fc.integer({ min: 0, max: 30_000_000 });
    const timeouts = fc.integer({ min: 1000, max: 3_600_000 });
    fc.assert(
      fc.property(ages, timeouts, (age, RUN_START_TIMEOUT) => {
        const times = { ...DEFAULTS, RUN_START_TIMEOUT };
        const next = nextLook(age, times);
        expect(next).toBeGreaterThan(age);
        expect(next - age).toBeLessThanOrEqual(120_000);
        const due = lastDue(age, times);
        expect(due).toBeLessThanOrEqual(age);
        expect(nextLook(due, times)).toBe(next);
        expect(patience(age, times)).toBeLessThanOrEqual(60_000);
      }),
    );
  });

  test('further workflows are waited for for 2 minutes, or RUN_START_TIMEOUT', () => {
    expect(settledAge(DEFAULTS)).toBe(120_000);
    expect(settledAge({ ...DEFAULTS, RUN_START_TIMEOUT: 7000 })).toBe(7000);
  });
});
