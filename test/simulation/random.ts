import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Random choices that are the same for the same seed. */
export interface Random {
  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number;
  /** True in so many percent of the cases. */
  chance(percent: number): boolean;
  pick<T>(values: readonly [T, ...T[]]): T;
  shuffle<T>(values: readonly T[]): T[];
}

export function createRandom(seed: number): Random {
  const generator = xoroshiro128plus(seed);
  const int = (from: number, to: number) => uniformInt(generator, from, to);
  return {
    int,
    chance: percent => int(1, 100) <= percent,
    pick: values => values[int(0, values.length - 1)] ?? values[0],
    shuffle: values =>
      values
        .map(value => ({ value, key: int(0, 0x7fffffff) }))
        .sort((a, b) => a.key - b.key)
        .map(({ value }) => value),
  };
}
