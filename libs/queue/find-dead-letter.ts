import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { type DeadLetter, readDeadLetter } from './dead-letter.ts';
import { defineScript } from './script.ts';

/** What a search among the dead letters came to. */
export type DeadLetterSearch =
  | { readonly kind: 'found'; readonly entryId: string }
  | { readonly kind: 'absent' }
  /** Not among the newest ones; there are more, which were not looked at. */
  | { readonly kind: 'not_among_newest'; readonly lookedAt: number };

/**
 * Finds the dead letter of a dispatch by the dispatch's id. Its key is the dedup id, which says nothing about the id, so where
 * the dedup id is unknown the newest entries are read, inside Redis. 10,000 of them take some 40 short calls.
 * @throws while Redis is away
 */
export type FindDeadLetter = (dispatchId: string, dedupId: string | undefined) => Promise<DeadLetterSearch>;

// A dead letter is 2 kB, and 60 kB at the most: so many are looked at in a call of a few milliseconds.
const AT_ONCE = 250;
const MOST = 20_000;

export function createFindDeadLetter(
  redis: Redis,
  queue: Queue<DeadLetter>,
  { atOnce = AT_ONCE, most = MOST } = {},
): FindDeadLetter {
  const findIn = defineScript<string | null>(redis, 'find-dead-letter.lua');

  async function isOf(entryId: string, dispatchId: string): Promise<boolean> {
    const state = await queue.getJobState(entryId);
    if (state === 'unknown') return false;
    return readDeadLetter((await queue.getJob(entryId))?.data)?.dispatch_id === dispatchId;
  }

  async function scan(dispatchId: string): Promise<DeadLetterSearch> {
    const ids = await redis.zrevrange(queue.toKey('failed'), 0, most);
    const newest = ids.slice(0, most);
    const text = `"dispatch_id":${JSON.stringify(dispatchId)}`;
    for (let start = 0; start < newest.length; start += atOnce) {
      const entryId = await findIn([queue.toKey('')], [text, ...newest.slice(start, start + atOnce)]);
      if (entryId !== null && (await isOf(entryId, dispatchId))) return { kind: 'found', entryId };
    }
    return ids.length > most ? { kind: 'not_among_newest', lookedAt: most } : { kind: 'absent' };
  }

  return async (dispatchId, dedupId) => {
    // A job that was no dispatch, and so had no dedup id, has an entry named after its own id.
    for (const entryId of [dedupId ?? [], `job-${dispatchId}`].flat()) {
      if (await isOf(entryId, dispatchId)) return { kind: 'found', entryId };
    }
    return dedupId === undefined ? scan(dispatchId) : { kind: 'absent' };
  };
}
