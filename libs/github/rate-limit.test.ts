import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ResponseHeaders } from './api-result.ts';
import { exhaustedLimit, refusedLimit } from './rate-limit.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const LONGEST = 65 * MINUTE;
const NOW = Date.parse('2026-03-05T12:00:00Z');
const EXHAUSTED = { 'x-ratelimit-remaining': '0' };
const date = (ms: number) => new Date(ms).toUTCString();
const seconds = (ms: number) => String(ms / SECOND);

function wait(headers: ResponseHeaders): number | undefined {
  const limit = refusedLimit({ kind: 'response', call: 'dispatch', status: 429, headers, message: '' }, NOW);
  return limit?.waitMs;
}

// "`Retry-After: 99999999`; `x-ratelimit-reset` in milliseconds; `1e300`; `0`": 65 min; 65 min; 65 min; 1 s at least.
describe('a wait is at least 1 s and at most 65 min, whatever the header says', () => {
  test.each<[string, number | undefined]>([
    ['0', SECOND],
    ['0.2', SECOND],
    ['-5', SECOND],
    ['1', SECOND],
    ['60', MINUTE],
    [' 60 ', MINUTE],
    ['3900', LONGEST],
    ['3901', LONGEST],
    ['99999999', LONGEST],
    ['1e300', LONGEST],
    ['9'.repeat(400), LONGEST],
    ['Infinity', LONGEST],
    [date(NOW + 5 * MINUTE), 5 * MINUTE],
    [date(NOW - MINUTE), SECOND],
    [date(NOW + 1000 * LONGEST), LONGEST],
    ['', undefined],
    [' ', undefined],
    ['soon', undefined],
    ['soon 1', undefined],
    ['60, 60', undefined],
    ['NaN', undefined],
    ['Thu, 99 Mar 2026 12:05:00 GMT', undefined],
  ])('Retry-After: %j', (retryAfter, expected) => {
    expect(wait({ 'retry-after': retryAfter })).toBe(expected);
  });

  test.each<[string, string, number | undefined]>([
    // A second more, as the header names whole seconds.
    ['in seconds', seconds(NOW + 20 * MINUTE), 20 * MINUTE + SECOND],
    ['in milliseconds by mistake', String(NOW + 20 * MINUTE), LONGEST],
    ['now', seconds(NOW), SECOND],
    ['in the past', seconds(NOW - 20 * MINUTE), SECOND],
    ['at zero', '0', SECOND],
    ['negative', '-1', SECOND],
    ['absurd', '1e300', LONGEST],
    ['empty', '', undefined],
    ['garbage', 'later', undefined],
  ])('x-ratelimit-reset %s', (_, reset, expected) => {
    expect(wait({ ...EXHAUSTED, 'x-ratelimit-reset': reset })).toBe(expected);
    expect(exhaustedLimit({ ...EXHAUSTED, 'x-ratelimit-reset': reset }, NOW)?.waitMs).toBe(expected);
  });

  test.each(['', 'soon'])('the reset is used where Retry-After is %j', retryAfter => {
    const headers = { ...EXHAUSTED, 'x-ratelimit-reset': seconds(NOW + MINUTE), 'retry-after': retryAfter };
    expect(wait(headers)).toBe(MINUTE + SECOND);
  });

  const HEADER = fc.oneof(
    fc.string(),
    fc.double().map(String),
    fc.integer().map(String),
    fc.bigInt().map(String),
    fc.date({ noInvalidDate: true }).map(value => value.toUTCString()),
    fc.constantFrom('', '0', '-0', '+1', '1e308', '0x10', 'Infinity', '-Infinity'),
    fc.integer(),
    fc.constant(undefined),
  );
  test('or it is undefined: any header at all', () => {
    const names = ['retry-after', 'x-ratelimit-reset', 'date'];
    const headers = fc.record(Object.fromEntries(names.map(name => [name, HEADER])));
    fc.assert(
      fc.property(headers, fc.constantFrom('0', '1'), fc.integer({ min: 0 }), (given, remaining, now) => {
        const response = { kind: 'response', call: 'dispatch', status: 403, message: 'rate limit' } as const;
        const all = { ...given, 'x-ratelimit-remaining': remaining };
        const waits = [refusedLimit({ ...response, headers: all }, now), exhaustedLimit(all, now)];
        for (const limit of waits) {
          const ms = limit?.waitMs;
          expect(ms === undefined || (ms >= SECOND && ms <= LONGEST)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

// "dispatcher 65 min ahead during a primary limit: 40 calls in 12 s": waits as told.
describe("a moment is measured against the answer's own date, not our clock", () => {
  const BEHIND = NOW - 65 * MINUTE;

  test.each<[string, ResponseHeaders]>([
    ['x-ratelimit-reset', { ...EXHAUSTED, 'x-ratelimit-reset': seconds(BEHIND + 40 * MINUTE - SECOND) }],
    ['Retry-After', { 'retry-after': date(BEHIND + 40 * MINUTE) }],
  ])('%s', (_, headers) => {
    expect(wait({ ...headers, date: date(BEHIND) })).toBe(40 * MINUTE);
  });

  test.each([undefined, '', 'today', '2026-03-05T12:00:00Z', '0'])(
    'but against our clock where that date is %j',
    value => {
      const headers = { ...EXHAUSTED, 'x-ratelimit-reset': seconds(NOW + MINUTE) };
      expect(wait({ ...headers, date: value })).toBe(MINUTE + SECOND);
    },
  );
});
