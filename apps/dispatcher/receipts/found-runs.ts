import { type Run, type RunListing, runsOf } from '@flux-dispatch/github/runs';
import type { Receipt, ReceiptRun } from '@flux-dispatch/queue/receipt';
import type { ReceiptSearch, Seeker } from '@flux-dispatch/queue/receipt-search';
import { exactRuns, probableRuns, untitledRuns } from './match.ts';

/**
 * Finds the runs of a dispatch in a listing of its repository, and claims those that do not name it. What was found before stays,
 * also where the listing no longer reaches it, unless runs that name the dispatch take the place of those that do not.
 */
export async function findRuns(
  receipt: Receipt,
  seekers: readonly Seeker[],
  listing: RunListing,
  search: Pick<ReceiptSearch<unknown>, 'claims' | 'claim' | 'unclaim'>,
): Promise<readonly ReceiptRun[]> {
  const { repo, event_type, dispatch_id } = receipt;
  const runs = runsOf(listing);
  const exact = exactRuns(runs, dispatch_id);
  const before = receipt.runs.map(run => updated(run, runs));
  if (exact.length > 0) {
    for (const { id, match } of before) if (match === 'probable') await search.unclaim(repo, id);
    return merged(
      before.filter(({ match }) => match === 'exact'),
      exact,
      'exact',
    );
  }
  if (before.some(({ match }) => match === 'exact')) return before;

  const untitled = untitledRuns(runs, event_type);
  const others = seekers.filter(each => exactRuns(runs, each.dispatch_id).length === 0);
  const claims = await search.claims(
    repo,
    untitled.map(({ id }) => id),
  );
  const claimed: Run[] = [];
  for (const run of probableRuns(dispatch_id, others, untitled, claims)) {
    if (await search.claim(repo, run.id, dispatch_id)) claimed.push(run);
  }
  return merged(before, claimed, 'probable');
}

function merged(before: readonly ReceiptRun[], found: readonly Run[], match: ReceiptRun['match']) {
  const news = found.filter(run => !before.some(({ id }) => id === run.id)).map(run => described(run, match));
  return [...before, ...news].sort((a, b) => a.created_at.localeCompare(b.created_at) || a.id - b.id);
}

function updated(known: ReceiptRun, runs: readonly Run[]): ReceiptRun {
  const run = runs.find(({ id }) => id === known.id);
  return run ? described(run, known.match) : known;
}

function described(run: Run, match: ReceiptRun['match']): ReceiptRun {
  const { id, url, workflow, status, conclusion, created_at, updated_at } = run;
  return {
    ...{ id, url, workflow, match, status, conclusion },
    created_at: new Date(created_at).toISOString(),
    updated_at: new Date(updated_at).toISOString(),
  };
}
