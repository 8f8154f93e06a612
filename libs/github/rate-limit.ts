import type { ApiResponse, ResponseHeaders } from './api-result.ts';
import type { RateLimit } from './verdict.ts';

// GitHub's own waits are between seconds and an hour. A header that says otherwise is wrong, and must neither stop the
// queue for years nor have it call again at once.
const SHORTEST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 65 * 60_000;

/**
 * The limit for which GitHub refused a call; undefined where it answered for another reason. Pure.
 * @param now milliseconds since the epoch, for an answer that does not say when it was given
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export function refusedLimit(response: ApiResponse, now: number): RateLimit | undefined {
  const { status, headers, message } = response;
  const refused =
    status === 429 ||
    (status === 403 &&
      (headers['retry-after'] !== undefined || isExhausted(headers) || /rate limit/i.test(message)));
  if (!refused) return undefined;
  const kind = isExhausted(headers) && !/secondary/i.test(message) ? 'primary' : 'secondary';
  return { kind, waitMs: waitMs(headers, now) };
}

/** The primary limit, where an answer of whichever status says that no call is left after it. Pure. */
export function exhaustedLimit(headers: ResponseHeaders, now: number): RateLimit | undefined {
  return isExhausted(headers) ? { kind: 'primary', waitMs: waitMs(headers, now) } : undefined;
}

/** How long until the limit is whole again, by GitHub's clock, in milliseconds; undefined where it does not say. Pure. */
export function waitUntilResetMs(headers: ResponseHeaders, now: number): number | undefined {
  const reset = number(text(headers, 'x-ratelimit-reset'));
  if (reset === undefined) return undefined;
  // A second more: the limit ends within the second that the header names.
  return reset * 1000 - (answeredAt(headers) ?? now) + 1000;
}

/** When GitHub gave an answer, by its own clock, in milliseconds since the epoch. Pure. */
export function answeredAt(headers: ResponseHeaders): number | undefined {
  return httpDate(text(headers, 'date'));
}

function isExhausted(headers: ResponseHeaders): boolean {
  return text(headers, 'x-ratelimit-remaining') === '0';
}

/** How long GitHub asks to wait, within reason, in milliseconds; undefined where it does not say. */
function waitMs(headers: ResponseHeaders, now: number): number | undefined {
  // Moments that GitHub names are by its own clock, and ours may be an hour off.
  const answered = answeredAt(headers) ?? now;
  const ms =
    retryAfterMs(headers, answered) ??
    (isExhausted(headers) ? waitUntilResetMs(headers, answered) : undefined);
  return ms === undefined ? undefined : Math.min(Math.max(ms, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
}

function retryAfterMs(headers: ResponseHeaders, answered: number): number | undefined {
  const value = text(headers, 'retry-after');
  const seconds = number(value);
  if (seconds !== undefined) return seconds * 1000;
  const date = httpDate(value);
  return date === undefined ? undefined : date - answered;
}

function text(headers: ResponseHeaders, name: string): string {
  return String(headers[name] ?? '').trim();
}

function number(value: string): number | undefined {
  return value === '' || Number.isNaN(Number(value)) ? undefined : Number(value);
}

/** A date as HTTP writes it, in milliseconds since the epoch. `Date.parse` alone makes a date of nearly any text. */
function httpDate(value: string): number | undefined {
  const ms = /^[A-Z][a-z]+, .+ GMT$/.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
