import type { ParsedUrlQuery } from 'node:querystring';
import type { Run, RunState } from './runs.ts';

type Filter = (run: Run, state: RunState) => boolean;

/** GitHub returns no more results of a search. */
export const MAX_SEARCH_RESULTS = 1000;

/**
 * Which runs match `event`, `status`, `branch` and `created` of the query; no filter where none of them is given.
 * `fault` says what is wrong with `created`. What GitHub does with an invalid one is not documented.
 */
export function runFilter(query: ParsedUrlQuery): { filter?: Filter } | { fault: string } {
  const { event, status, branch, created } = query;
  const filters: Filter[] = [];
  if (event !== undefined) filters.push(() => event === 'repository_dispatch');
  if (status !== undefined) {
    // The parameter is for both.
    filters.push((_, state) => state.status === status || state.conclusion === status);
  }
  if (branch !== undefined) filters.push(run => run.branch === branch);
  if (created !== undefined) {
    const range = parseRange(String(created));
    if (!range) return { fault: `created is no date or range of dates: "${created}"` };
    filters.push(({ createdAt }) => {
      // Like the time in the answer, to the second.
      const second = Math.floor(createdAt / 1000) * 1000;
      return second >= range.from && second <= range.to;
    });
  }
  if (filters.length === 0) return {};
  return { filter: (run, state) => filters.every(filter => filter(run, state)) };
}

/** Epoch milliseconds, both included. */
interface Range {
  readonly from: number;
  readonly to: number;
}

const ALWAYS: Range = { from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY };

/**
 * GitHub's syntax for dates in a search: `2026-11-21`, `>=2026-11-21T10:00:00Z`, `2026-11-01..2026-11-21`, `..*`.
 * https://docs.github.com/en/search-github/getting-started-with-searching-on-github/understanding-the-search-syntax#query-for-dates
 */
function parseRange(text: string): Range | undefined {
  const [from, to, ...others] = text.split('..');
  if (to !== undefined) {
    const [first, last] = [from, to].map(bound => (bound === '*' ? ALWAYS : parseDate(bound ?? '')));
    return first && last && others.length === 0 ? { from: first.from, to: last.to } : undefined;
  }
  const [, operator = '', date = ''] = /^(>=|<=|>|<|)(.*)$/.exec(text) ?? [];
  const day = parseDate(date);
  if (!day) return undefined;
  switch (operator) {
    case '>=':
      return { ...ALWAYS, from: day.from };
    case '>':
      return { ...ALWAYS, from: day.to + 1 };
    case '<=':
      return { ...ALWAYS, to: day.to };
    case '<':
      return { ...ALWAYS, to: day.from - 1 };
    default:
      return day;
  }
}

/** A day, or the second of a time. */
function parseDate(text: string): Range | undefined {
  const [match, time] = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d))?$/.exec(text) ?? [];
  const from = Date.parse(match ?? '');
  if (Number.isNaN(from)) return undefined;
  return { from, to: time === undefined ? from + 86_400_000 - 1 : Math.floor(from / 1000) * 1000 + 999 };
}
