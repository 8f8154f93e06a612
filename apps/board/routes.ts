import { DEAD_LETTER_QUEUE, DISPATCH_QUEUE } from '@flux-dispatch/queue/keys';

/** What an operator can do to dead letters. */
export type Action =
  | { readonly action: 'retry' | 'remove'; readonly queue: string; readonly jobId: string }
  | { readonly action: 'retry_all'; readonly queue: string };

export type Route =
  | { readonly kind: 'view' }
  | ({ readonly kind: 'action' } & Action)
  | { readonly kind: 'not_found' }
  | { readonly kind: 'method_not_allowed' };

const QUEUE = `(?:${DISPATCH_QUEUE}|${DEAD_LETTER_QUEUE})`;

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

const DEAD_LETTERS = `/api/queues/${DEAD_LETTER_QUEUE}`;
const RETRY_ALL = `${DEAD_LETTERS}/retry/failed`;
// Bull Board's router would take these words in the place of a job's id for other routes, in any case.
const ONE = new RegExp(`^${DEAD_LETTERS}/(?<jobId>[^/]+)/(?<verb>retry|clean)$`);
const OTHER_ROUTE = /^(?:retry|clean)$/i;

/**
 * What of Bull Board exists here: its views, and of all that changes something Retry, Retry all and Remove of dead
 * letters. Whatever it may add in a later version is refused until it is listed here.
 * @param path as in the request, without query, still percent-encoded
 */
export function routeOf(method: string, path: string): Route {
  if (method === 'GET' || method === 'HEAD') {
    return VIEWS.some(view => view.test(path)) ? { kind: 'view' } : { kind: 'not_found' };
  }
  if (method !== 'PUT') return { kind: 'method_not_allowed' };
  const queue = DEAD_LETTER_QUEUE;
  if (path === RETRY_ALL) return { kind: 'action', action: 'retry_all', queue };
  const { jobId: encoded, verb } = ONE.exec(path)?.groups ?? {};
  const jobId = encoded === undefined || OTHER_ROUTE.test(encoded) ? undefined : decoded(encoded);
  if (jobId === undefined) return { kind: 'method_not_allowed' };
  return { kind: 'action', action: verb === 'retry' ? 'retry' : 'remove', queue, jobId };
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** Bull Board's own patterns of the actions on one entry. */
export const ACTION_PATTERNS: readonly string[] = [
  '/api/queues/:queueName/:jobId/retry',
  '/api/queues/:queueName/:jobId/clean',
];
