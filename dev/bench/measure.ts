import type { Credentials } from '@flux-dispatch/testbed/credentials';

/** What every benchmark needs. */
export interface BenchContext {
  readonly redisUrl: string;
  readonly credentials: Credentials;
  /** The folders with programs: `PATH`. */
  readonly path: string;
}

export const print = (line: string) => process.stdout.write(`${line}\n`);

export const round = (rate: number) => Math.round(rate).toLocaleString('en');

/** Prints a figure, with the two measurements that it is the ratio of. */
export function report(what: string, ratio: number, measured: string): void {
  print(`${ratio.toFixed(2).padStart(6)}  ${what} (${measured})`);
}

/** Runs `work` `count` times, `width` at a time, and returns how often a second. */
export async function rateOf(
  count: number,
  width: number,
  work: (n: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const startedAt = performance.now();
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return count / ((performance.now() - startedAt) / 1000);
}

/** How long something takes in milliseconds: the median of `count` times, one after the other, and the longest. */
export async function timeOf(
  count: number,
  work: (n: number) => Promise<unknown>,
): Promise<{ median: number; longest: number }> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    const startedAt = performance.now();
    await work(n);
    times.push(performance.now() - startedAt);
  }
  times.sort((a, b) => a - b);
  return { median: times[Math.floor(count / 2)] ?? Number.NaN, longest: times.at(-1) ?? Number.NaN };
}
