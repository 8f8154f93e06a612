import type { ApiResponse, ApiResult } from './api-result.ts';
import type { App } from './app.ts';
import { classify } from './classify.ts';
import { splitRepository } from './repository.ts';
import type { RateLimit } from './verdict.ts';

/** A workflow run, as far as it matters here. Times are in milliseconds since the epoch. */
export interface Run {
  readonly id: number;
  readonly workflow_id: number;
  /** The name of its workflow. */
  readonly workflow: string;
  /** What `run-name` says; the event type where the workflow has none. */
  readonly title: string;
  readonly status: string;
  /** null until it has concluded. */
  readonly conclusion: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  /** Its page. */
  readonly url: string;
}

/**
 * The runs of a repository for the event repository_dispatch, newest first. It can be stored as JSON and given back, so that only
 * what has changed is sent again.
 */
export interface RunListing {
  /** The runs are not older than this, in milliseconds since the epoch. */
  readonly since: number;
  readonly pages: readonly RunPage[];
}

interface RunPage {
  readonly etag?: string;
  /** Of all pages. */
  readonly total: number;
  readonly runs: readonly Run[];
}

export type ListedRuns =
  | { readonly kind: 'listed'; readonly listing: RunListing }
  /** The caller has stopped it. */
  | { readonly kind: 'held' }
  | { readonly kind: 'limited'; readonly limit: RateLimit }
  /** The App may not read the runs of any repository of this owner. */
  | { readonly kind: 'forbidden'; readonly message: string }
  /** This repository has none to list: it is gone, or its Actions are. */
  | { readonly kind: 'unlisted'; readonly message: string }
  /** Another try may succeed. */
  | { readonly kind: 'failed'; readonly message: string };

const PER_PAGE = 100;
const MAX_PAGES = 3;

/** All runs of a listing, newest first. */
export function runsOf({ pages }: RunListing): readonly Run[] {
  // A run that starts between the requests for two pages moves another one from the first to the second.
  const byId = new Map(pages.flatMap(({ runs }) => runs).map(run => [run.id, run]));
  return [...byId.values()];
}

/** Whether a listing has every run since a time, in milliseconds since the epoch. */
export function reachesBackTo(listing: RunListing, time: number): boolean {
  const runs = runsOf(listing);
  const isWhole = runs.length >= (listing.pages[0]?.total ?? 0);
  return listing.since <= time && (isWhole || (runs.at(-1)?.created_at ?? 0) < time);
}

/**
 * Lists the runs since a time. A page that has not changed since `previous` costs nothing of the hourly limit.
 * https://docs.github.com/en/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
 * @param since milliseconds since the epoch
 * @param mayCall asked before each call. What it rejects with, this rejects with
 */
export async function listRuns(
  app: Pick<App, 'call'>,
  repository: string,
  since: number,
  previous: RunListing | undefined,
  mayCall: () => Promise<boolean>,
): Promise<ListedRuns> {
  const pages: RunPage[] = [];
  do {
    if (!(await mayCall())) return { kind: 'held' };
    const before = previous?.since === since ? previous.pages[pages.length] : undefined;
    const result = await requestPage(app, repository, since, pages.length + 1, before?.etag);
    if (result.kind === 'response' && result.status === 304 && before) {
      pages.push(before);
      continue;
    }
    const page = result.kind === 'response' && result.status === 200 ? readPage(result) : undefined;
    if (!page) return failure(result, repository);
    pages.push(page);
  } while (pages.length < MAX_PAGES && pages.length * PER_PAGE < (pages[0]?.total ?? 0));
  return { kind: 'listed', listing: { since, pages } };
}

function requestPage(
  app: Pick<App, 'call'>,
  repository: string,
  since: number,
  page: number,
  etag: string | undefined,
): Promise<ApiResult> {
  const { owner, name } = splitRepository(repository);
  return app.call('runs', repository, (client, signal) =>
    client.request('GET /repos/{owner}/{repo}/actions/runs', {
      ...{ owner, repo: name, event: 'repository_dispatch', per_page: PER_PAGE, page },
      created: `>=${new Date(since).toISOString().replace(/\.\d+/, '')}`,
      headers: etag === undefined ? {} : { 'if-none-match': etag },
      request: { signal },
    }),
  );
}

function failure(result: ApiResult, repository: string): Exclude<ListedRuns, { kind: 'listed' | 'held' }> {
  const verdict = classify(result, repository, Date.now());
  if (verdict.kind === 'delivered') throw new Error('A list of runs was taken for a dispatch');
  if (verdict.limit) return { kind: 'limited', limit: verdict.limit };
  const { message } = verdict;
  if (verdict.kind === 'retry') return { kind: 'failed', message };
  if (result.kind !== 'response') return { kind: 'unlisted', message };
  const { status } = result;
  if (status !== 403 || /archived|disabled/i.test(result.message)) return { kind: 'unlisted', message };
  // Any other 403 is about something that may pass, such as a suspended installation or a list of allowed addresses.
  const isPermission = result.call === 'runs' && /not accessible by integration/i.test(result.message);
  return { kind: isPermission ? 'forbidden' : 'failed', message };
}

/** undefined where something else than GitHub has answered. */
function readPage({ headers, data }: ApiResponse): RunPage | undefined {
  const { workflow_runs, total_count } = (data ?? {}) as Record<string, unknown>;
  if (!Array.isArray(workflow_runs)) return undefined;
  const runs = workflow_runs.flatMap(run => readRun(run) ?? []);
  const etag = headers['etag'];
  return {
    ...(etag !== undefined && { etag: String(etag) }),
    total: Math.max(Number(total_count) || 0, runs.length),
    runs,
  };
}

/** undefined where a run lacks what it is recognised by. */
function readRun(data: unknown): Run | undefined {
  const run = (data ?? {}) as Record<string, unknown>;
  const created_at = Date.parse(text(run['created_at']));
  if (typeof run['id'] !== 'number' || Number.isNaN(created_at)) return undefined;
  const conclusion = text(run['conclusion']);
  return {
    id: run['id'],
    workflow_id: Number(run['workflow_id']) || 0,
    workflow: text(run['name']) || text(run['path']),
    title: text(run['display_title']),
    status: text(run['status']),
    conclusion: conclusion === '' ? null : conclusion,
    created_at,
    updated_at: Date.parse(text(run['updated_at'])) || created_at,
    url: text(run['html_url']),
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
