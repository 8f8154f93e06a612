import { randomUUID } from 'node:crypto';
import { createClaims } from '@flux-dispatch/queue/claims';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { FOR_EVENTS, watchHeadroom } from '@flux-dispatch/queue/headroom';
import { createOutages } from '@flux-dispatch/queue/outages';
import { connectFailFast } from '@flux-dispatch/queue/redis';
import { adviseOnRedis } from '@flux-dispatch/queue/redis-advice';
import { createRefusalLog } from '@flux-dispatch/queue/refusals';
import { passing, redisTakesWrites, watchWrites } from '@flux-dispatch/queue/write-probe';
import { listen } from '@flux-dispatch/runtime/http-server';
import { createRegistry } from '@flux-dispatch/runtime/metrics';
import { listenOps, standardProbes } from '@flux-dispatch/runtime/ops-server';
import { runProcess } from '@flux-dispatch/runtime/process';
import { parseIngestConfig } from './config.ts';
import { createEnqueue } from './enqueue.ts';
import { createIngestMetrics } from './metrics.ts';
import { createEnqueueRecovery, createRecover } from './recover.ts';
import { reportConflict } from './report.ts';
import { createIngestApp } from './server.ts';
import { tokenFile } from './token.ts';

await runProcess('ingest', parseIngestConfig(process.env), async running => {
  const { config, build, log, stopping, stack } = running;
  if (config.ALLOW_UNSIGNED) {
    log.warn(
      'ALLOW_UNSIGNED=true: anyone who can reach this port can start workflows. Restrict access with a NetworkPolicy, or sign events',
    );
  }
  const refusals = createRefusalLog(log);
  const redis = stack.adopt(connectFailFast(config, config.QUEUE_TIMEOUT, log, refusals), redis =>
    redis.disconnect(),
  );
  adviseOnRedis(redis, log);
  const takesWrites = redisTakesWrites(redis, config.QUEUE_PREFIX);
  stack.use(watchWrites(takesWrites, refusals));
  const headroom = stack.use(watchHeadroom(redis, log, FOR_EVENTS));
  const queue = openDispatchQueue(redis, config.QUEUE_PREFIX, log);
  const claims = createClaims(redis, config.QUEUE_PREFIX);
  const registry = createRegistry(build);
  const reasons = [...config.SUCCESS_REASONS, ...config.FAILURE_REASONS];
  const metrics = createIngestMetrics(registry, reasons, async () => {
    // A Redis whose disk is full still counts, but takes no event.
    const [count] = await Promise.all([claims.countStreams(), passing(takesWrites)]);
    return count;
  });
  const probes = standardProbes(takesWrites, stopping);

  // Disposed in reverse: the events under way are answered first, and the probes answer until the end.
  const ops = stack.use(await listenOps(config.METRICS_ADDR, probes, registry));
  const recording = { redis, memory: config, timeoutMs: config.QUEUE_TIMEOUT };
  const enqueue = createEnqueue({
    ...recording,
    ...{ queue, claims, headroom, waitReplicas: config.REDIS_WAIT_REPLICAS, newId: randomUUID },
    onConflict: candidate => reportConflict(candidate, metrics, log),
  });
  const outages = createOutages(redis, config.QUEUE_PREFIX);
  const app = createIngestApp({
    config,
    tokens: config.HMAC_TOKEN_PATH ? tokenFile(config.HMAC_TOKEN_PATH, log) : async () => [],
    enqueue,
    enqueueRecovery: createEnqueueRecovery({ ...recording, outages, enqueue }),
    recover: createRecover({ ...recording, claims }),
    probes,
    metrics,
    log,
  });
  const server = stack.use(await listen(config.LISTEN_ADDR, app.callback()));
  log.info({ events_port: server.port, metrics_port: ops.port }, 'Listening');
});
