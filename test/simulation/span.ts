import type { ControllerEvent } from './steps.ts';

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

/** When an event happened: at its arrival where its own time is missing or in the future. */
export function timeOf({ timestamp }: ControllerEvent, now: Span): Span {
  return timestamp === undefined || timestamp > now.from ? now : { from: timestamp, to: timestamp };
}
