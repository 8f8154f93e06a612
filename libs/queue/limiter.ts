import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { defineScript, type ScriptConnection } from './script.ts';

/**
 * The count in BullMQ's limiter that means a pause that GitHub has asked for: every worker waits until the key expires. It
 * is what BullMQ's own `queue.rateLimit()` sets.
 */
export const LIMITER_EXHAUSTED = Number.MAX_SAFE_INTEGER;

/** The count that means that the pace allows no call at present. */
const LIMITER_PACED = LIMITER_EXHAUSTED - 1;

/** The limiter of a worker: only the two counts above reach its maximum. A worker without a limiter would ignore them. */
export const WORKER_LIMITER = { max: LIMITER_PACED - 1, duration: 1000 } as const;

/** A pace: at most `max` calls in any window of `per` milliseconds, all workers together. */
export interface Pace {
  readonly max: number;
  readonly per: number;
}

type Connection = ScriptConnection & Pick<Redis, 'get' | 'pttl'>;

function keysOf(queue: Pick<Queue, 'toKey'>) {
  return {
    /** What every worker of a queue looks at before it takes a job. */
    limiter: queue.toKey('limiter'),
    untold: queue.toKey('limiter:untold'),
    calls: queue.toKey('calls'),
    pace: queue.toKey('pace'),
  };
}

/**
 * Whether a queue's workers are held back, by the pace or by a pause.
 * @throws while Redis is away
 */
export async function isHeld(
  queue: Pick<Queue, 'toKey'>,
  redis: Pick<Connection, 'get' | 'pttl'>,
): Promise<boolean> {
  const { limiter } = keysOf(queue);
  const [count, leftMs] = await Promise.all([redis.get(limiter), redis.pttl(limiter)]);
  return leftMs > 0 && Number(count) >= WORKER_LIMITER.max;
}

/**
 * Pauses a queue for all its workers. A pause is only ever lengthened. A secondary limit halves the pace as well.
 * @param waitMs how long; undefined where GitHub does not say: a minute, then twice as long each time, an hour at most
 * @returns for how long the queue is held from now, in milliseconds
 */
export type Pause = (kind: 'primary' | 'secondary', waitMs: number | undefined) => Promise<number>;

// Where GitHub does not say how long.
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3_600_000;

/** Not by BullMQ's own `queue.rateLimit()`, which overwrites: a later and shorter answer would end a pause early. */
export function createPause(queue: Pick<Queue, 'toKey'>, redis: ScriptConnection): Pause {
  const pause = defineScript<number>(redis, 'limiter.lua', 'pause.lua');
  const { limiter, untold, pace } = keysOf(queue);
  return (kind, waitMs) => {
    const asked = waitMs === undefined ? -1 : Math.ceil(waitMs);
    const times = [asked, FIRST_PAUSE_MS, LONGEST_PAUSE_MS];
    return pause([limiter, untold, pace], [...times, LIMITER_EXHAUSTED, LIMITER_PACED, kind]);
  };
}

/**
 * Asked before each call to GitHub: how long it has to wait, in milliseconds. 0: it goes, and counts. Otherwise the queue
 * is held for so long, for the pace or for a pause.
 */
export type PaceGate = () => Promise<number>;

// The times of so many calls are kept. A faster pace is as many calls in a shorter window, which is stricter.
const MAX_CALLS = 1000;

export function createPaceGate(
  queue: Pick<Queue, 'toKey'>,
  redis: ScriptConnection,
  rate: Pace | 'off',
): PaceGate {
  const gate = defineScript<number>(redis, 'limiter.lua', 'pace.lua');
  const { limiter, calls, pace } = keysOf(queue);
  const { max, per } = rate === 'off' ? { max: 0, per: 0 } : scaled(rate);
  return () => gate([limiter, calls, pace], [max, per, LIMITER_EXHAUSTED, LIMITER_PACED]);
}

function scaled({ max, per }: Pace): Pace {
  if (max <= MAX_CALLS) return { max, per };
  const window = (per * MAX_CALLS) / max;
  // Less than a millisecond for a thousand calls is no limit that a clock of milliseconds could keep.
  return window < 1 ? { max: 0, per: 0 } : { max: MAX_CALLS, per: window };
}

/** The share of the pace that is used at present, from 0.1 to 1. @throws while Redis is away */
export async function paceRatio(queue: Pick<Queue, 'toKey'>, redis: ScriptConnection): Promise<number> {
  const ratio = defineScript<string>(redis, 'limiter.lua', 'pace-ratio.lua');
  return Number(await ratio([keysOf(queue).pace], []));
}
