import type { ApiResponse, ResponseHeaders } from './api-result.ts';
import type { RateLimit } from './verdict.ts';

/**
 * The limit for which GitHub refused a call; undefined where it answered for another reason. Pure.
 * @param now milliseconds since the epoch, to which `x-ratelimit-reset` is compared
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

function isExhausted(headers: ResponseHeaders): boolean {
  return String(headers['x-ratelimit-remaining']) === '0';
}

function waitMs(headers: ResponseHeaders, now: number): number | undefined {
  const retryAfter = headers['retry-after'];
  if (retryAfter !== undefined && retryAfter !== '') {
    const seconds = Number(retryAfter);
    const ms = Number.isNaN(seconds) ? Date.parse(String(retryAfter)) - now : seconds * 1000;
    if (!Number.isNaN(ms)) return Math.max(0, ms);
  }
  const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN);
  if (isExhausted(headers) && !Number.isNaN(reset)) {
    // A second more: the limit ends within the second that the header names.
    return Math.max(0, reset * 1000 - now) + 1000;
  }
  return undefined;
}
