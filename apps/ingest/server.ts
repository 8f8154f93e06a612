import type { IncomingMessage } from 'node:http';
import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { SIGNATURE_HEADER, verifySignature } from '@flux-dispatch/event/signature';
import { type DecideConfig, type DispatchRequest, decide } from '@flux-dispatch/routing/decide';
import { productOf, truncate } from '@flux-dispatch/routing/payload';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Probes, probeRoutes } from '@flux-dispatch/runtime/ops-server';
import Router from '@koa/router';
import Koa from 'koa';
import getRawBody from 'raw-body';
import type { Enqueued, EnqueueResult } from './enqueue.ts';
import type { IngestMetrics, Outcome } from './metrics.ts';

export const EVENTS_PATH = '/flux-events';

export interface IngestServerConfig extends DecideConfig {
  readonly ALLOW_UNSIGNED: boolean;
  readonly MAX_BODY_BYTES: number;
  readonly REJECT_STATUS: number;
}

export interface IngestDependencies {
  readonly config: IngestServerConfig;
  /** The keys that events are signed with. */
  readonly tokens: () => Promise<readonly Buffer[]>;
  readonly enqueue: (requests: readonly DispatchRequest[]) => Promise<EnqueueResult>;
  readonly probes: Probes;
  readonly metrics: IngestMetrics;
  readonly log: Logger;
}

/** What a request is answered with. */
interface Answer {
  readonly status: number;
  readonly outcome: Outcome;
  /** What to change, in one line. Flux shows it to the product team as an event on its Alert. */
  readonly message?: string;
  /** What only the log is told. */
  readonly detail?: string;
  readonly dispatches?: readonly Enqueued[];
  readonly retryAfterSeconds?: number;
  readonly event?: FluxEvent;
}

/** The HTTP side of ingest: `verify → parse → decide → enqueue`, the first that has an answer ends it. */
export function createIngestApp(dependencies: IngestDependencies): Koa {
  const { metrics, log, probes, config } = dependencies;
  const app = new Koa();
  const router = new Router({ strict: true, sensitive: true });

  app.use(probeRoutes(probes));
  app.use(async (ctx, next) => {
    const stop = metrics.requestDuration.startTimer();
    await next();
    stop({ code: ctx.status });
  });

  router.post(EVENTS_PATH, async ctx => {
    const answer = await handle(ctx, dependencies).catch((err: unknown): Answer => {
      log.error({ err }, 'Unexpected error: this is a bug');
      return { status: 500, outcome: 'internal_error', message: 'unexpected error: see the log of ingest' };
    });
    respond(ctx, answer);
    metrics.events.inc({ outcome: answer.outcome });
    logAnswer(log, answer, config.DEFAULT_DISPATCH_EVENT, ctx.ip);
  });
  router.all(EVENTS_PATH, ctx => {
    ctx.set('Allow', 'POST');
    ctx.status = 405;
    ctx.body = {
      outcome: 'method_not_allowed',
      message: `${ctx.method} is not allowed: POST Flux events here`,
    };
  });
  app.use(router.routes());
  app.use(ctx => {
    ctx.status = 404;
    ctx.body = { outcome: 'not_found', message: `nothing is here: Flux events go to POST ${EVENTS_PATH}` };
  });

  // A client that hangs up while it is answered is its own affair.
  app.on('error', err => log.debug({ err }, 'Request failed'));
  return app;
}

async function handle(ctx: Koa.Context, dependencies: IngestDependencies): Promise<Answer> {
  const { config, metrics } = dependencies;

  const read = await readBody(ctx, config.MAX_BODY_BYTES);
  if ('answer' in read) return read.answer;

  const signature = ctx.get(SIGNATURE_HEADER);
  const tokens = await dependencies.tokens();
  if (!isAuthentic(read.body, signature, tokens, config.ALLOW_UNSIGNED)) {
    metrics.signatureFailures.inc();
    return { status: 401, outcome: 'invalid_signature', message: signatureFault(signature) };
  }

  const parsed = parseEvent(read.body);
  if (!parsed.ok) return { status: 400, outcome: 'invalid_payload', message: parsed.fault };
  const { event } = parsed;
  const reason = metrics.reasonLabel(event.reason);
  metrics.received.inc({ reason });

  const decision = decide(event, config);
  switch (decision.kind) {
    case 'skip':
      return { status: 200, outcome: decision.outcome, message: decision.message, event };
    case 'reject':
      return { status: config.REJECT_STATUS, outcome: decision.outcome, message: decision.message, event };
    case 'enqueue': {
      const result = await dependencies.enqueue(decision.requests);
      if (result.kind === 'done') {
        const repeats = result.dispatches.filter(
          ({ outcome }) => outcome === 'duplicate' || outcome === 'rate_limited',
        );
        metrics.dedupHits.inc({ reason }, repeats.length);
      }
      return { ...enqueueAnswer(result), event };
    }
    default:
      return decision satisfies never;
  }
}

/** Reads the raw body, which is what is signed; no further than `limit` bytes. */
async function readBody(ctx: Koa.Context, limit: number): Promise<{ body: Buffer } | { answer: Answer }> {
  try {
    const length = ctx.request.length;
    return { body: await getRawBody(ctx.req, { limit, ...(length === undefined ? {} : { length }) }) };
  } catch (error) {
    const { type, message } = error as Error & { type?: string };
    const tooLarge = `the body is over ${limit} bytes: shorten the message, or raise MAX_BODY_BYTES of ingest`;
    if (type === 'entity.too.large') {
      discard(ctx.req);
      return { answer: { status: 413, outcome: 'body_too_large', message: tooLarge } };
    }
    ctx.set('Connection', 'close');
    return {
      answer: {
        status: 400,
        outcome: 'invalid_payload',
        message: `the body did not arrive whole: ${message}`,
      },
    };
  }
}

// Flux sends no more than 3 MiB.
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024;

/**
 * Lets the rest of a body go by unread. A connection that is closed while the client is still sending is reset, and the
 * client would find a broken pipe rather than the answer.
 */
function discard(request: IncomingMessage): void {
  let left = MAX_DISCARDED_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
}

function isAuthentic(
  body: Buffer,
  signature: string,
  tokens: readonly Buffer[],
  allowUnsigned: boolean,
): boolean {
  if (allowUnsigned && (signature === '' || tokens.length === 0)) return true;
  const keys = tokens.map(secret => ({ secret }));
  return verifySignature(body, signature, keys) !== undefined;
}

function signatureFault(signature: string): string {
  return signature === ''
    ? 'the X-Signature header is missing: the Provider must be of type generic-hmac, with a token in its Secret'
    : "the X-Signature header does not fit the body: the Provider's token must be the one that ingest has";
}

// The client obeys Retry-After uncapped within its own 15 s, so a longer wait would lose the event. Where Redis has had
// QUEUE_TIMEOUT already, less of them is left.
const RETRY_AFTER_REFUSED_S = 3;
const RETRY_AFTER_TIMEOUT_S = 1;

function enqueueAnswer(result: EnqueueResult): Answer {
  if (result.kind === 'unavailable') {
    return {
      status: 503,
      outcome: 'queue_unavailable',
      message:
        'the event was not queued, as the queue is not available for now: Flux sends it again by itself',
      detail: result.reason,
      retryAfterSeconds: result.timedOut ? RETRY_AFTER_TIMEOUT_S : RETRY_AFTER_REFUSED_S,
    };
  }
  const { dispatches } = result;
  const outcome = dispatches.some(dispatch => dispatch.outcome === 'enqueued')
    ? 'enqueued'
    : (dispatches[0]?.outcome ?? 'duplicate');
  return { status: outcome === 'enqueued' ? 202 : 200, outcome, dispatches };
}

function respond(
  ctx: Koa.Context,
  { status, outcome, message, dispatches, retryAfterSeconds }: Answer,
): void {
  ctx.status = status;
  if (retryAfterSeconds !== undefined) ctx.set('Retry-After', String(retryAfterSeconds));
  ctx.body = {
    outcome,
    ...(message === undefined ? {} : { message }),
    ...(dispatches && { dispatch_id: representative(dispatches, outcome)?.dispatch_id, dispatches }),
  };
}

/** The dispatch that the event as a whole is named after. */
function representative(dispatches: readonly Enqueued[], outcome: Outcome): Enqueued | undefined {
  return dispatches.find(dispatch => dispatch.outcome === outcome);
}

/** One line for each event; for several repositories one for each of them. */
function logAnswer(log: Logger, answer: Answer, defaultEventType: string, remote: string): void {
  const { status, outcome, message, detail = message, dispatches, event } = answer;
  const about = event && {
    product: brief(productOf(event)),
    env: brief(event.metadata['env'] ?? ''),
    event_type: brief(event.metadata['dispatch_event'] ?? defaultEventType),
    reason: brief(event.reason),
  };
  const level = status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info';
  for (const dispatch of dispatches ?? []) log[level]({ ...dispatch, ...about, status }, 'Event');
  if (dispatches) return;
  const repo = event && brief(event.metadata['dispatch_repo'] ?? '');
  log[level]({ outcome, ...about, repo, status, detail, remote }, 'Event');
}

/** What a request says, at a length that a log line can bear. */
function brief(text: string): string {
  return truncate(text, 200);
}
