import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { RECEIPT_QUEUE } from './keys.ts';
import { defineScript } from './script.ts';

/** A dispatch that looks for its runs. */
export interface Seeker {
  readonly dispatch_id: string;
  /** When GitHub accepted the dispatch, by its own clock, in milliseconds since the epoch. */
  readonly delivered_at: number;
}

/** A receipt, as far as the search for its runs has to know it. */
export interface SearchedReceipt extends Seeker {
  readonly repo: string;
  readonly event_type: string;
}

/** What came of listing a repository's runs. */
export interface Listed<Answer> {
  /** When it began, by Redis' clock, in milliseconds since the epoch. */
  readonly startedAt: number;
  readonly answer: Answer;
}

export interface SearchState<Answer> {
  /** By Redis' clock, in milliseconds since the epoch. */
  readonly now: number;
  /** When GitHub accepted the oldest dispatch of the repository with an open receipt. As in {@link Seeker}. */
  readonly oldest: number;
  /** The dispatches of the same event type that look for runs. */
  readonly seekers: readonly Seeker[];
  /** What came of the newest listing. */
  readonly listed: Listed<Answer> | undefined;
}

/**
 * What the receipts of a repository share, on whichever replica they are looked at: the list of its runs, and which dispatch has
 * claimed a run that does not name its dispatch.
 */
export interface ReceiptSearch<Answer, Finding = unknown> {
  /**
   * Enters a receipt, unless it is there already, and reads what it shares with others.
   * @param seeksUntil until when it looks for runs that do not name their dispatch, by Redis' clock, in milliseconds since the
   *   epoch
   */
  enter(receipt: SearchedReceipt, seeksUntil: number): Promise<SearchState<Answer>>;
  /** The receipt looks for nothing any more. */
  leave(receipt: SearchedReceipt): Promise<void>;
  /**
   * Lets one worker at a time list a repository's runs.
   * @param state what {@link enter} has read
   * @returns `busy` where another one does, or has done so since; what `list` gives, which is shared unless it is undefined
   */
  listAlone(
    repo: string,
    state: SearchState<Answer>,
    list: () => Promise<Answer | undefined>,
  ): Promise<'busy' | Listed<Answer> | undefined>;
  /** The dispatch that has claimed each of these runs, by the run's id. */
  claims(repo: string, runIds: readonly number[]): Promise<ReadonlyMap<number, string>>;
  /** Claims a run for a dispatch. Returns whether that dispatch has it now. */
  claim(repo: string, runId: number, dispatchId: string): Promise<boolean>;
  /** Gives a run back that a dispatch has claimed. */
  unclaim(repo: string, runId: number): Promise<void>;
  /** No run came of this dispatch in time. One may still come. */
  noteMissing(repo: string, dispatchId: string): Promise<void>;
  /** The dispatches of a repository that no run came of in time. */
  missing(repo: string): Promise<readonly string[]>;
  forgetMissing(repo: string, dispatchId: string): Promise<void>;
  /** What was found out about a repository and an event type a short while ago. */
  finding(repo: string, eventType: string): Promise<Finding | undefined>;
  noteFinding(repo: string, eventType: string, finding: Finding, forMs: number): Promise<void>;
}

export interface ReceiptSearchOptions {
  /** How long a receipt may be open, in milliseconds. */
  readonly openForMs: number;
  /** How long one listing may take, in milliseconds. */
  readonly listForMs: number;
}

// Between two looks of a receipt there are 2 minutes, and whatever GitHub pauses for.
const LISTED_FOR_MS = 900_000;

export function createReceiptSearch<Answer, Finding>(
  redis: Redis,
  prefix: string,
  { openForMs, listForMs }: ReceiptSearchOptions,
): ReceiptSearch<Answer, Finding> {
  const enter = defineScript<[now: number, oldest: string, seekers: string[], listed: string | null]>(
    redis,
    'enter-receipt.lua',
  );
  const unlock = defineScript<null>(redis, 'unlock.lua');
  // GitHub's names ignore case.
  const key = (repo: string, ...parts: (string | number)[]) =>
    [prefix, RECEIPT_QUEUE, 'repo', repo.toLowerCase(), ...parts].join(':');
  // Longer than any receipt is open, so that none loses what it has entered or claimed.
  const keepMs = openForMs + LISTED_FOR_MS;

  return {
    async enter({ repo, event_type, dispatch_id, delivered_at }, seeksUntil) {
      const keys = [key(repo, 'open'), key(repo, 'seekers', event_type), key(repo, 'listed')];
      const [now, oldest, seekers, listed] = await enter(keys, [
        dispatch_id,
        delivered_at,
        seeksUntil,
        keepMs,
      ]);
      return {
        now,
        oldest: Number(oldest),
        seekers: seekersOf(seekers),
        listed: listed === null ? undefined : (JSON.parse(listed) as Listed<Answer>),
      };
    },
    async leave({ repo, event_type, dispatch_id }) {
      await Promise.all([
        redis.zrem(key(repo, 'open'), dispatch_id),
        redis.zrem(key(repo, 'seekers', event_type), dispatch_id),
      ]);
    },
    async listAlone(repo, { now, listed: before }, list) {
      const [lock, token] = [key(repo, 'lock'), randomUUID()];
      if ((await redis.set(lock, token, 'PX', listForMs, 'NX')) === null) return 'busy';
      try {
        const newest = await redis.get(key(repo, 'listed'));
        if (newest !== null && (JSON.parse(newest) as Listed<Answer>).startedAt !== before?.startedAt)
          return 'busy';
        const answer = await list();
        if (answer === undefined) return undefined;
        const listed = { startedAt: now, answer };
        await redis.set(key(repo, 'listed'), JSON.stringify(listed), 'PX', LISTED_FOR_MS);
        return listed;
      } finally {
        await unlock([lock], [token]);
      }
    },
    async claims(repo, runIds) {
      if (runIds.length === 0) return new Map();
      const holders = await redis.mget(runIds.map(id => key(repo, 'run', id)));
      return new Map(runIds.flatMap((id, index) => (holders[index] ? [[id, holders[index]] as const] : [])));
    },
    async claim(repo, runId, dispatchId) {
      const run = key(repo, 'run', runId);
      const taken = await redis.set(run, dispatchId, 'PX', keepMs, 'NX');
      return taken !== null || (await redis.get(run)) === dispatchId;
    },
    async unclaim(repo, runId) {
      await redis.del(key(repo, 'run', runId));
    },
    async noteMissing(repo, dispatchId) {
      const missing = key(repo, 'missing');
      await redis.sadd(missing, dispatchId);
      await redis.pexpire(missing, keepMs);
    },
    missing: repo => redis.smembers(key(repo, 'missing')),
    async forgetMissing(repo, dispatchId) {
      await redis.srem(key(repo, 'missing'), dispatchId);
    },
    async finding(repo, eventType) {
      const finding = await redis.get(key(repo, 'finding', eventType));
      return finding === null ? undefined : (JSON.parse(finding) as Finding);
    },
    async noteFinding(repo, eventType, finding, forMs) {
      await redis.set(key(repo, 'finding', eventType), JSON.stringify(finding), 'PX', forMs);
    },
  };
}

/** Reads what a sorted set replies: members and scores by turns. */
function seekersOf(reply: readonly string[]): readonly Seeker[] {
  return reply.flatMap((id, index) =>
    index % 2 === 0 ? [{ dispatch_id: id, delivered_at: Number(reply[index + 1]) }] : [],
  );
}
