import type { Redis } from 'ioredis';
import { type Dispatch, parseDispatch } from './dispatch.ts';
import { claimKeys } from './keys.ts';

/** A delivered dispatch whose receipt is not on its queue yet: settle.lua notes it when it records the delivery. */
export interface UnopenedReceipt {
  readonly dispatch: Dispatch;
  /** By Redis' clock, in milliseconds since the epoch. */
  readonly deliveredAt: number;
  /** The same by GitHub's own clock. */
  readonly githubTime: number;
}

export interface UnopenedReceipts {
  /** Some of them, no more than a hundred or so. Another worker may get the same ones. */
  some(): Promise<readonly UnopenedReceipt[]>;
  /** Forgets those that are on their queue now. */
  forget(receipts: readonly UnopenedReceipt[]): Promise<void>;
}

const AT_ONCE = 100;

export function openUnopenedReceipts(redis: Pick<Redis, 'hscan' | 'hdel'>, prefix: string): UnopenedReceipts {
  const { unopened } = claimKeys(prefix);
  return {
    async some() {
      const [, entries] = await redis.hscan(unopened, 0, 'COUNT', AT_ONCE);
      const read = entries.flatMap((id, index) =>
        index % 2 === 0 ? [{ id, receipt: parseEntry(entries[index + 1] ?? '') }] : [],
      );
      // A version that reads it differently may have written it.
      const unreadable = read.filter(({ receipt }) => !receipt).map(({ id }) => id);
      if (unreadable.length > 0) await redis.hdel(unopened, ...unreadable);
      return read.flatMap(({ receipt }) => receipt ?? []);
    },
    async forget(receipts) {
      if (receipts.length === 0) return;
      await redis.hdel(unopened, ...receipts.map(({ dispatch }) => dispatch.payload.dispatch_id));
    },
  };
}

/** `<when, by Redis> <when, by GitHub> <the dispatch as JSON>`. */
function parseEntry(entry: string): UnopenedReceipt | undefined {
  const [, deliveredAt, githubTime, json = ''] = /^(\d+) (\d+) (.*)$/s.exec(entry) ?? [];
  const parsed = parseDispatch(parseJson(json));
  if (!parsed.ok) return undefined;
  return { dispatch: parsed.dispatch, deliveredAt: Number(deliveredAt), githubTime: Number(githubTime) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
