const FIRST_MS = 1000;
const LONGEST_MS = 10 * 60_000;
// A delay is up to half as long again as its base, so that what failed together does not come back together.
const JITTER = 0.5;

/**
 * How long to wait before the next attempt, in milliseconds: 1 s at first, doubling, at most 10 min, with jitter.
 * @param attemptsMade failed attempts so far, from 1
 * @param random a number from 0 to 1
 */
export function backoff(attemptsMade: number, random: number = Math.random()): number {
  const base = Math.min(FIRST_MS * 2 ** (attemptsMade - 1), LONGEST_MS / (1 + JITTER));
  return Math.round(base * (1 + JITTER * random));
}
