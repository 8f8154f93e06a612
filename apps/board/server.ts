import { refusalOf, refusalText } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';
import Koa from 'koa';
import { assetOf } from './assets.ts';
import type { Authenticate } from './auth.ts';
import { isCrossSite } from './cross-site.ts';
import type { Entry } from './entry.ts';
import type { Found } from './find.ts';
import { findPage, notFoundPage } from './html.ts';
import { queueOfSegment } from './queues.ts';
import type { Refusal } from './refusal.ts';
import { bullBoardPath, type JobAction, type Route, redirectOf, routeOf } from './routes.ts';

export interface BoardDependencies {
  readonly authenticate: Authenticate;
  readonly readOnly: boolean;
  /** Bull Board. Sees nothing but what routeOf lets through. */
  readonly bullBoard: Koa.Middleware;
  /** Why Redis cannot be asked now, or undefined where it can. */
  readonly redisUnavailable: () => string | undefined;
  /** What an action is for, or why it cannot be done. */
  readonly findEntry: (action: JobAction) => Promise<Entry | Refusal>;
  /** Where the dispatch of this id is. */
  readonly findDispatch: (id: string) => Promise<Found>;
  /** A page with links to the runs of the dispatch of this id; undefined where it has no receipt. */
  readonly runsPage: (id: string) => Promise<string | undefined>;
  readonly retryAll: () => Promise<{ retried: number }>;
  readonly log: Logger;
}

const SECURITY_HEADERS = {
  // Bull Board styles by attribute, and its page asks for a web font elsewhere, which it can do without.
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

const MAX_JOBS_PER_PAGE = 100;

// A file with the hash of its content in its name never changes.
const HASHED = /\.[0-9a-f]{10}\.(?:js|css)$/;

/** The HTTP side of the board: who is it, may it be done, Bull Board does it, and a line in the log says who did. */
export function createBoardApp(dependencies: BoardDependencies): Koa {
  const { authenticate, readOnly, bullBoard, redisUnavailable, findEntry, retryAll, log } = dependencies;
  const app = new Koa();

  app.use(async (ctx, next) => {
    ctx.set(SECURITY_HEADERS);
    ctx.set('Cache-Control', 'no-store');

    const identity = await authenticate(ctx.req);
    const route = routeOf(ctx.method, ctx.path);
    const changes = route.kind === 'action' || route.kind === 'method_not_allowed';
    const asksRedis = ctx.path.startsWith('/api/') || route.kind === 'find' || route.kind === 'runs';
    let refusal =
      (changes && isCrossSite(ctx.headers) ? CROSS_SITE : undefined) ??
      (identity.ok ? routeRefusal(route, readOnly) : identity) ??
      (asksRedis ? redisRefusal(redisUnavailable()) : undefined);
    let entry: Entry | undefined;

    const answer = async () => {
      switch (route.kind) {
        case 'find':
          return find(ctx, route.id ?? String(ctx.query['id'] ?? '').trim(), dependencies);
        case 'runs':
          return showRuns(ctx, route.id, dependencies);
        case 'action': {
          if (route.action === 'retry_all') {
            ctx.body = await retryAll();
            return;
          }
          const found = await findEntry(route);
          if ('outcome' in found) refusal = found;
          else entry = found;
          return refusal ? refuse(ctx, refusal) : passOn(ctx, next);
        }
        default:
          return passOn(ctx, next);
      }
    };
    if (refusal) refuse(ctx, refusal);
    else await answer().catch((err: unknown) => refuse(ctx, failure(err, log)));

    // The line that says so is written once; those that follow would only fill the log.
    if (!changes || refusal?.outcome === 'too_many_tries') return;
    const { status } = ctx;
    const outcome = refusal?.outcome ?? outcomeOf(status);
    log[status < 400 ? 'info' : status < 500 ? 'warn' : 'error'](
      {
        outcome,
        status,
        user: identity.ok ? identity.user : undefined,
        ...actionFields(route),
        ...(entry?.dispatchId !== undefined && { dispatch_id: entry.dispatchId }),
        ...(route.kind === 'action' && route.action === 'retry_all' && !refusal && retriedFields(ctx.body)),
        ...(route.kind !== 'action' && { method: ctx.method, path: ctx.path }),
        remote: ctx.ip,
      },
      'Action',
    );
  });
  app.use(bullBoard);

  app.on('error', err => log.warn({ err }, 'Request failed'));
  return app;
}

/** Lets Bull Board answer, by its own names and within limits. Files of the board's own and redirects it never sees. */
async function passOn(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  const elsewhere = redirectOf(ctx.path, ctx.search);
  if (elsewhere !== undefined) return ctx.redirect(elsewhere);
  if (ctx.path.startsWith('/static/')) return serveFile(ctx, next);
  const { jobsPerPage, activeQueue } = ctx.query;
  const shown = queueOfSegment(String(activeQueue));
  ctx.query = {
    ...ctx.query,
    ...(shown && { activeQueue: shown.title }),
    // However many somebody asks for, a page has no more: each of them is read whole.
    ...(Number(jobsPerPage) > MAX_JOBS_PER_PAGE && { jobsPerPage: String(MAX_JOBS_PER_PAGE) }),
  };
  ctx.path = bullBoardPath(ctx.path);
  return next();
}

/** Serves a file of the board or of Bull Board, which the browser may keep. */
async function serveFile(ctx: Koa.Context, next: Koa.Next): Promise<void> {
  const asset = assetOf(ctx.path);
  if (asset) {
    ctx.type = asset.type;
    ctx.body = asset.content;
  } else await next();
  // While it is being updated, another replica may not have the file yet: that answer is not to be kept.
  if (ctx.status >= 400) return;
  const age = HASHED.test(ctx.path) ? 'max-age=31536000, immutable' : 'max-age=3600';
  ctx.set('Cache-Control', `private, ${age}`);
}

const MAX_ID_LENGTH = 200;

/** Leads to the page of a dispatch, or says that it is nowhere. */
async function find(
  ctx: Koa.Context,
  id: string,
  { findDispatch }: Pick<BoardDependencies, 'findDispatch'>,
): Promise<void> {
  if (id === '') {
    ctx.body = findPage();
    return;
  }
  const found: Found = id.length > MAX_ID_LENGTH ? { kind: 'nowhere' } : await findDispatch(id);
  if (found.kind === 'found') return ctx.redirect(found.url);
  ctx.status = 404;
  ctx.body = notFoundPage(id.slice(0, MAX_ID_LENGTH), found);
}

async function showRuns(
  ctx: Koa.Context,
  id: string,
  { runsPage }: Pick<BoardDependencies, 'runsPage'>,
): Promise<void> {
  const page = await runsPage(id);
  ctx.status = page === undefined ? 404 : 200;
  ctx.body = page ?? notFoundPage(id, { kind: 'nowhere' });
}

const CROSS_SITE: Refusal = {
  status: 403,
  outcome: 'cross_site',
  message: 'a page of another site cannot act on this board: open the board itself',
};

function routeRefusal(route: Route, readOnly: boolean): Refusal | undefined {
  switch (route.kind) {
    case 'view':
    case 'find':
    case 'runs':
      return undefined;
    case 'action': {
      const message = 'this board is read-only (BOARD_READ_ONLY=true)';
      return readOnly ? { status: 403, outcome: 'read_only', message } : undefined;
    }
    case 'not_found':
      return { status: 404, outcome: 'not_found', message: 'nothing is here: the board begins at /' };
    case 'method_not_allowed':
      return {
        status: 405,
        outcome: 'method_not_allowed',
        message: 'this board can only retry and remove dead letters, and retry failed receipts',
        headers: { Allow: 'GET, HEAD' },
      };
    default:
      return route satisfies never;
  }
}

function redisRefusal(reason: string | undefined): Refusal | undefined {
  return reason === undefined ? undefined : { status: 503, outcome: 'redis_unavailable', message: reason };
}

function refuse(ctx: Koa.Context, { status, outcome, message, headers = {} }: Refusal): void {
  ctx.status = status;
  ctx.set(headers);
  // Bull Board's pages show what has an `error`, by the key of a text of theirs, with the message below it.
  ctx.body = {
    outcome,
    message,
    error: { key: status === 503 ? 'ERRORS.REDIS_UNAVAILABLE' : 'ERRORS.FORBIDDEN' },
  };
}

/** What was thrown before Bull Board could answer by itself: a body that is no JSON, a Redis that refuses it, or a bug. */
function failure(err: unknown, log: Logger): Refusal {
  const refusal = refusalOf(err);
  if (refusal) return { status: 503, outcome: 'redis_unavailable', message: refusalText(refusal) };
  const { status } = err as { status?: number };
  if (status !== undefined && status >= 400 && status < 500) {
    return { status: 400, outcome: 'invalid_request', message: (err as Error).message };
  }
  log.error({ err }, 'Unexpected error: this is a bug');
  return { status: 500, outcome: 'internal_error', message: 'unexpected error: see the log of the board' };
}

function outcomeOf(status: number): 'done' | 'not_found' | 'not_possible' | 'failed' {
  if (status < 400) return 'done';
  if (status === 404) return 'not_found';
  return status < 500 ? 'not_possible' : 'failed';
}

function actionFields(route: Route) {
  if (route.kind !== 'action') return {};
  const { action, queue } = route;
  return { action, queue, ...('jobId' in route && { job_id: route.jobId }) };
}

/** How many were retried. */
function retriedFields(body: unknown): { retried?: unknown } {
  const { retried } = (body ?? {}) as Record<string, unknown>;
  return { retried };
}
