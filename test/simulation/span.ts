/** A time in seconds. That of an arrival is only known to lie between the post and its answer. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** undefined where it cannot be told. */
export function isBefore(a: Span, b: Span): boolean | undefined {
  if (a.to < b.from) return true;
  return a.from >= b.to ? false : undefined;
}

/** The later of two times, of which the second may be unknown. */
export function latest(a: Span, b: Span = a): Span {
  return { from: Math.max(a.from, b.from), to: Math.max(a.to, b.to) };
}
