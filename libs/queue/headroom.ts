import type { Logger } from '@flux-dispatch/runtime/log';
import type { Redis } from 'ioredis';

/** How much of Redis' memory something may use before it stops, so that what matters more has the rest. */
export interface MemoryShare {
  /** From 0 to 1. */
  readonly share: number;
  /** What the log says once there is no room any more. */
  readonly full: string;
  /** What it says once there is room again. */
  readonly again: string;
}

/** Without the last tenth the dispatcher could not empty the queue. */
export const FOR_EVENTS: MemoryShare = {
  share: 0.9,
  full: 'Redis is nearly full: events are refused until the queue drains. Raise maxmemory',
  again: 'Redis has room again: events are accepted',
};

/** Receipts only observe: they stop well before events are refused. */
export const FOR_RECEIPTS: MemoryShare = {
  share: 0.75,
  full: 'Redis is filling up: not looking for the workflow runs of new dispatches. Raise maxmemory',
  again: 'Redis has room again: looking for workflow runs',
};

/** By how much less it has to be before there is room again, so that it does not start and stop with each event. */
const HYSTERESIS = 0.02;
const LOOK_EVERY_MS = 500;
const KNOWN_WITHIN_MS = 1000;
/** What a dispatch takes up in Redis beyond its payload: job, claim, stream and their keys. In bytes. */
const OVERHEAD = 2048;

/** Whether Redis has room for more. */
export interface Headroom {
  /** Why there is none; undefined where there is. Answers from memory, without a call to Redis. */
  room(): string | undefined;
  /** Counts a dispatch that was queued until the next look. @param payload what Redis keeps of it */
  took(payload: object): void;
}

export interface WatchedHeadroom extends Headroom, Disposable {
  /** Resolves once it is known how full Redis is, after a second at most. Until then there is room. */
  readonly known: Promise<void>;
  /** Looks at Redis' memory, which happens by itself twice a second. */
  look(): Promise<void>;
}

interface MemoryUse {
  readonly used: number;
  /** 0: no limit. */
  readonly max: number;
}

/**
 * Watches how full Redis is, so that its user stops before Redis is full: a full Redis does not even let the dispatcher
 * take a job from the queue. Where Redis has no maxmemory, or INFO is forbidden, there is always room.
 */
export function watchHeadroom(
  redis: Pick<Redis, 'status' | 'info'>,
  log: Pick<Logger, 'warn' | 'info' | 'debug'>,
  { share, full: fullMessage, again }: MemoryShare,
): WatchedHeadroom {
  let memory: MemoryUse = { used: 0, max: 0 };
  let taken = 0;
  let isFull = false;
  const { promise: known, resolve: setKnown } = Promise.withResolvers<void>();

  function room(): string | undefined {
    const { used, max } = memory;
    const full = max > 0 && used + taken >= max * (isFull ? share - HYSTERESIS : share);
    if (full !== isFull) {
      isFull = full;
      const fields = { used_memory: used + taken, maxmemory: max };
      if (full) log.warn(fields, fullMessage);
      else log.info(fields, again);
    }
    if (!full) return undefined;
    return `Redis is nearly full (${mebibytes(used + taken)} of ${mebibytes(max)} MiB): raise its maxmemory`;
  }

  async function look(): Promise<void> {
    if (redis.status !== 'ready') return;
    const before = taken;
    try {
      memory = parseMemory(await redis.info('memory'));
    } catch (err) {
      return log.debug({ err }, 'Cannot read how full Redis is');
    } finally {
      setKnown();
    }
    // What was queued while Redis answered may not be in its answer.
    taken -= before;
    room();
  }

  const stopped = new AbortController();
  async function keepLooking(): Promise<void> {
    await look();
    if (!stopped.signal.aborted) setTimeout(keepLooking, LOOK_EVERY_MS).unref();
  }
  void keepLooking();
  // Whoever waits for it does not wait for long.
  setTimeout(setKnown, KNOWN_WITHIN_MS).unref();
  return {
    room,
    known,
    took(payload) {
      if (memory.max > 0) taken += JSON.stringify(payload).length + OVERHEAD;
    },
    look,
    [Symbol.dispose]: () => stopped.abort(),
  };
}

function parseMemory(info: string): MemoryUse {
  const value = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  // What replicas and the append-only file have buffered does not count towards the limit.
  return { used: value('used_memory') - value('mem_not_counted_for_evict'), max: value('maxmemory') };
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}
