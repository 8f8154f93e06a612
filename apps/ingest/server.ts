import { type Outcome, statusOf } from '@flux-dispatch/routing/outcome';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Probes, probeRoutes } from '@flux-dispatch/runtime/ops-server';
import Router from '@koa/router';
import Koa from 'koa';
import { type Answer, answerBody } from './answer.ts';
import { type HandleDependencies, handleEvent } from './handle-event.ts';
import type { IngestMetrics } from './metrics.ts';
import { countAnswer, logAnswer } from './report.ts';

const EVENTS_PATH = '/flux-events';

export interface IngestDependencies extends HandleDependencies {
  readonly config: HandleDependencies['config'] & { readonly REJECT_STATUS: number };
  readonly probes: Probes;
  readonly metrics: IngestMetrics;
  readonly log: Logger;
}

/** The HTTP side of ingest: the events endpoint, the probes, and an answer to every other request. */
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
    const answer = await handleEvent(ctx.request, dependencies).catch((err: unknown): Answer => {
      log.error({ err }, 'Unexpected error: this is a bug');
      return { outcome: 'internal_error', message: 'unexpected error: see the log of ingest' };
    });
    ctx.set(answer.headers ?? {});
    respond(ctx, answerBody(answer));
    countAnswer(metrics, answer);
    logAnswer(log, answer, ctx.status, ctx.ip);
  });
  router.all(EVENTS_PATH, ctx => {
    ctx.set('Allow', 'POST');
    const message = `${ctx.method} is not allowed: POST Flux events here`;
    respond(ctx, { outcome: 'method_not_allowed', message });
  });
  app.use(router.routes());
  app.use(ctx => {
    const message = `nothing is here: Flux events go to POST ${EVENTS_PATH}`;
    respond(ctx, { outcome: 'not_found', message });
  });

  function respond(ctx: Koa.Context, body: { readonly outcome: Outcome; readonly message?: string }): void {
    ctx.status = statusOf(body.outcome, config);
    ctx.body = body;
  }

  // A client that hangs up before it has its answer is not a fault of ingest.
  app.on('error', err => log.debug({ err }, 'Request failed'));
  return app;
}
