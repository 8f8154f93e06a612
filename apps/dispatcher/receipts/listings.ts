import type { GitHub } from '@flux-dispatch/github/github';
import type { ListedRuns, RunListing } from '@flux-dispatch/github/runs';
import type { RateLimit } from '@flux-dispatch/github/verdict';
import type { Listed, ReceiptSearch, SearchState } from '@flux-dispatch/queue/receipt-search';

import { reservedForMs } from './reserve.ts';

/** What all receipts of a repository are told of a listing. */
export type SharedAnswer = Exclude<ListedRuns, { kind: 'held' | 'limited' }>;

/** A receipt that has come up, and when. Times are in milliseconds since the epoch. */
export interface Due {
  readonly repo: string;
  /** When the look was due, by Redis' clock: an older listing does not serve it. */
  readonly dueAt: number;
  /** For how long it may wait for others, in milliseconds. */
  readonly patienceMs: number;
  /** By GitHub's clock. Older runs do not belong to it. */
  readonly since: number;
}

export type Listing =
  | { readonly kind: 'ready'; readonly listed: Listed<SharedAnswer> }
  /** There is none yet: look again after so many milliseconds. */
  | { readonly kind: 'later'; readonly ms: number }
  /** Receipts stand back for dispatches: their queue is held. */
  | { readonly kind: 'held' }
  | { readonly kind: 'limited'; readonly limit: RateLimit };

export interface ListingDependencies {
  readonly github: Pick<GitHub, 'listRuns' | 'quota'>;
  readonly search: Pick<ReceiptSearch<SharedAnswer>, 'listAlone'>;
  /** Whether receipts may make a call now. Otherwise their queue is held until they may. */
  readonly mayCall: () => Promise<boolean>;
  /** Called with each new list. */
  readonly onListed: (repo: string, listing: RunListing) => Promise<void>;
}

// Runs may be a little older than the answer to their dispatch.
const BEFORE_MS = 5000;
// For so long the listing goes on from where it began, although the oldest receipt has ended: the same request may be answered
// with 304.
const SAME_SINCE_MS = 900_000;
const BUSY_MS = 1000;

/** Gets the list of a repository's runs for a receipt: that of another receipt where it is new enough, else its own. */
export function createListings({ github, search, mayCall, onListed }: ListingDependencies) {
  return async (due: Due, state: SearchState<SharedAnswer>): Promise<Listing> => {
    const { now, oldest, listed } = state;
    const { repo, dueAt, patienceMs, since } = due;
    if (listed && listed.startedAt >= dueAt && covers(listed.answer, since)) {
      return { kind: 'ready', listed };
    }
    const shareAt = (listed?.startedAt ?? 0) + patienceMs;
    if (now < shareAt) return { kind: 'later', ms: shareAt - now };
    const ms = reservedForMs(github, repo);
    if (ms > 0) return { kind: 'later', ms };

    const before = listed?.answer.kind === 'listed' ? listed.answer.listing : undefined;
    const wanted = oldest - BEFORE_MS;
    const isUsable = before && before.since <= wanted && wanted - before.since <= SAME_SINCE_MS;
    let stopped: Extract<Listing, { kind: 'held' | 'limited' }> | undefined;
    const own = await search.listAlone(repo, state, async () => {
      const answer = await github.listRuns(repo, isUsable ? before.since : wanted, before, mayCall);
      if (answer.kind !== 'held' && answer.kind !== 'limited') return answer;
      stopped = answer;
      return undefined;
    });
    if (own === 'busy') return { kind: 'later', ms: BUSY_MS };
    if (own) {
      if (own.answer.kind === 'listed') await onListed(repo, own.answer.listing);
      return { kind: 'ready', listed: own };
    }
    if (!stopped) throw new Error('A listing has ended without an answer');
    return stopped;
  };
}

/** Whether an answer tells of runs since a time. One without runs serves everybody. */
function covers(answer: SharedAnswer, since: number): boolean {
  return answer.kind !== 'listed' || answer.listing.since <= since;
}
