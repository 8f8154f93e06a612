import { DEAD_LETTERS, queueOfSegment, RUNS, SHOWN_QUEUES, type ShownQueue, titleSegment } from './queues.ts';

/** What an operator can do: all of it to dead letters, and Retry to a receipt. */
export type Action = JobAction | { readonly action: 'retry_all'; readonly queue: string };

/** What is done to one job. */
export type JobAction = {
  readonly action: 'retry' | 'remove';
  readonly queue: string;
  readonly jobId: string;
};

export type Route =
  | { readonly kind: 'view' }
  | ({ readonly kind: 'action' } & Action)
  /** The dispatch of this id, wherever it is. Without an id: where to enter one. */
  | { readonly kind: 'find'; readonly id: string | undefined }
  /** The links to the workflow runs of a dispatch. */
  | { readonly kind: 'runs'; readonly id: string }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'method_not_allowed' };

const anyOf = (...queues: readonly ShownQueue[]) =>
  `(?:${queues.flatMap(queue => [queue.name, titleSegment(queue)]).join('|')})`;
const QUEUE = anyOf(...SHOWN_QUEUES);

const VIEWS = [
  '/',
  `/queue/${QUEUE}`,
  `/queue/${QUEUE}/[^/]+`,
  '/static/[A-Za-z0-9._/-]+',
  '/api/queues',
  `/api/queues/${QUEUE}/(?:metrics|default-job-options|workers|rate-limit|job-data-schema)`,
  `/api/queues/${QUEUE}/[^/]+`,
  `/api/queues/${QUEUE}/[^/]+/(?:logs|flow)`,
].map(path => new RegExp(`^${path}$`));

const ABOUT_ONE = /^\/(?<page>find|runs)\/(?<id>[^/]+)$/;

const RETRY_ALL = new RegExp(`^/api/queues/${anyOf(DEAD_LETTERS)}/retry/failed$`);
// Bull Board's router would take these words in the place of a job's id for other routes, in any case.
const ONE = new RegExp(
  `^/api/queues/(?<queue>${anyOf(DEAD_LETTERS, RUNS)})/(?<jobId>[^/]+)/(?<verb>retry|clean)$`,
);
const OTHER_ROUTE = /^(?:retry|clean)$/i;

/**
 * What exists here: Bull Board's views, the pages that find a dispatch and link to its runs, and of all that changes something
 * Retry, Retry all and Remove of dead letters and Retry of receipts. Whatever Bull Board may add in a later version is refused
 * until it is listed here.
 * @param path as in the request, without query, still percent-encoded
 */
export function routeOf(method: string, path: string): Route {
  if (method === 'GET' || method === 'HEAD') return viewOf(path);
  if (method !== 'PUT') return { kind: 'method_not_allowed' };
  if (RETRY_ALL.test(path)) return { kind: 'action', action: 'retry_all', queue: DEAD_LETTERS.name };
  const { queue: segment = '', jobId: encoded, verb } = ONE.exec(path)?.groups ?? {};
  const queue = queueOfSegment(segment)?.name;
  const jobId = encoded === undefined || OTHER_ROUTE.test(encoded) ? undefined : decoded(encoded);
  const action = verb === 'retry' ? 'retry' : 'remove';
  if (queue === undefined || jobId === undefined || (queue === RUNS.name && action === 'remove')) {
    return { kind: 'method_not_allowed' };
  }
  return { kind: 'action', action, queue, jobId };
}

function viewOf(path: string): Route {
  if (VIEWS.some(view => view.test(path))) return { kind: 'view' };
  if (path === '/find') return { kind: 'find', id: undefined };
  const { page, id: encoded = '' } = ABOUT_ONE.exec(path)?.groups ?? {};
  const id = decoded(encoded);
  if (page === undefined || id === undefined) return { kind: 'not_found' };
  return { kind: page === 'find' ? 'find' : 'runs', id };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/**
 * Where the page of a queue or of a job is, if not here: under the title of the queue, and on the tab that the queue opens on.
 * @param search the query of the request, with its question mark; empty where there is none
 */
export function redirectOf(path: string, search: string): string | undefined {
  const [, segment = '', rest = ''] = /^\/queue\/([^/]+)(\/[^/]+)?$/.exec(path) ?? [];
  const queue = queueOfSegment(segment);
  if (!queue) return undefined;
  const query = new URLSearchParams(search);
  const opensElsewhere = rest === '' && !query.has('status') && queue.opensOn !== 'latest';
  if (segment === titleSegment(queue) && !opensElsewhere) return undefined;
  if (opensElsewhere) query.set('status', queue.opensOn);
  return `/queue/${titleSegment(queue)}${rest}${query.size > 0 ? `?${query}` : ''}`;
}

/** The path by which Bull Board knows what is asked for: scripts may name a queue as it is named in Redis. */
export function bullBoardPath(path: string): string {
  return path.replace(/^(\/api\/queues\/)([^/]+)/, (whole, prefix: string, segment: string) => {
    const queue = queueOfSegment(segment);
    return queue ? prefix + titleSegment(queue) : whole;
  });
}

/** Bull Board's own patterns of the actions on one entry. */
export const ACTION_PATTERNS: readonly string[] = [
  '/api/queues/:queueName/:jobId/retry',
  '/api/queues/:queueName/:jobId/clean',
];
