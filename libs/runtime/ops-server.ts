import Koa from 'koa';
import type { Registry } from 'prom-client';
import { type HttpServer, listen } from './http-server.ts';
import type { Address } from './variable.ts';

/** Says why a process is not alive or not ready, or undefined where it is. */
export type Check = () => Promise<string | undefined>;

export interface Probes {
  readonly alive: Check;
  readonly ready: Check;
}

/** Answers `GET /healthz` and `GET /readyz`: 200, or 503 with the reason. */
export function probeRoutes(probes: Probes): Koa.Middleware {
  const checks: Record<string, Check> = { '/healthz': probes.alive, '/readyz': probes.ready };
  return async (ctx, next) => {
    const check = ctx.method === 'GET' || ctx.method === 'HEAD' ? checks[ctx.path] : undefined;
    if (!check) return next();
    const reason = await check();
    ctx.status = reason === undefined ? 200 : 503;
    ctx.body = reason === undefined ? { status: 'ok' } : { status: 'unavailable', reason };
  };
}

/** Serves the probes and `GET /metrics`, apart from the process's own traffic. */
export function listenOps(address: Address, probes: Probes, registry: Registry): Promise<HttpServer> {
  const app = new Koa();
  app.use(probeRoutes(probes));
  app.use(async ctx => {
    if (ctx.path !== '/metrics' || (ctx.method !== 'GET' && ctx.method !== 'HEAD')) return;
    ctx.set('Content-Type', registry.contentType);
    ctx.body = await registry.metrics();
  });
  return listen(address, app.callback());
}

/**
 * Alive as long as the process answers at all; ready while it is not stopping and Redis is of use to it.
 * @param redis says why Redis is not, such as that it takes no writes
 */
export function standardProbes(redis: Check, stopping: AbortSignal): Probes {
  return {
    alive: async () => undefined,
    ready: async () => (stopping.aborted ? 'shutting down' : redis()),
  };
}
