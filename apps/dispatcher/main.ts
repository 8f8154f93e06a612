import { createClaims } from '@flux-dispatch/queue/claims';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { queueState } from '@flux-dispatch/queue/queue-state';
import { connectProducer, connectWorker, redisAnswers } from '@flux-dispatch/queue/redis';
import { createRegistry } from '@flux-dispatch/runtime/metrics';
import { listenOps, standardProbes } from '@flux-dispatch/runtime/ops-server';
import { runProcess } from '@flux-dispatch/runtime/process';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';
import { parseDispatcherConfig } from './config.ts';
import { createGitHub } from './github.ts';
import { createDispatcherMetrics } from './metrics.ts';
import { createPause } from './pause.ts';
import { parsePrivateKey } from './private-key.ts';
import { createProcessor } from './processor.ts';
import { startDispatchWorker } from './worker.ts';

// Probes and scrapes ask Redis for something: they would rather have no answer than a late one.
const OPS_TIMEOUT_MS = 1000;

await runProcess(
  'dispatcher',
  parseDispatcherConfig(process.env),
  async ({ config, log, stopping, stack }) => {
    const { GITHUB_APP_ID: appId, GITHUB_PRIVATE_KEY_PATH: keyPath } = config;
    if (config.DRY_RUN) log.warn('DRY_RUN=true: nothing is sent to GitHub');

    const inspection = stack.adopt(connectProducer(config, OPS_TIMEOUT_MS, log), redis => redis.disconnect());
    const queue = openDispatchQueue(inspection, config.QUEUE_PREFIX, log);
    const registry = createRegistry();
    const metrics = createDispatcherMetrics(registry, async () => [await queueState(queue, inspection)]);
    const probes = standardProbes(redisAnswers(inspection), stopping);
    const ops = stack.use(await listenOps(config.METRICS_ADDR, probes, registry));
    log.info({ metrics_port: ops.port }, 'Listening');

    const redis = stack.adopt(connectWorker(config, log), redis => redis.disconnect());
    const github =
      config.DRY_RUN || appId === undefined || keyPath === undefined
        ? undefined
        : createGitHub({
            apiUrl: config.GITHUB_API_URL,
            appId,
            privateKey: reloadedFile(keyPath, parsePrivateKey),
            installationId: config.GITHUB_INSTALLATION_ID,
            timeoutMs: config.DISPATCH_TIMEOUT,
            log,
          });
    const processor = createProcessor({
      github,
      claims: createClaims(redis, config.QUEUE_PREFIX),
      pause: createPause(redis, queue.toKey('limiter')),
      metrics,
      log,
      now: Date.now,
      config,
    });
    // Disposed first: it takes no new job, and the dispatches under way end.
    stack.adopt(startDispatchWorker(redis, config, processor, log), worker => worker.close());
  },
);
