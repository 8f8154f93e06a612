import { createGitHub, type GitHub } from '@flux-dispatch/github/github';
import { parsePrivateKey } from '@flux-dispatch/github/private-key';
import { createClaims } from '@flux-dispatch/queue/claims';
import { openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { FOR_RECEIPTS, watchHeadroom } from '@flux-dispatch/queue/headroom';
import { createPaceGate, createPause, paceRatio } from '@flux-dispatch/queue/limiter';
import { createOutages } from '@flux-dispatch/queue/outages';
import { queueLook, queueState } from '@flux-dispatch/queue/queue-state';
import { countOpenReceipts, openReceiptQueue } from '@flux-dispatch/queue/receipt';
import { connectFailFast, connectPatient, redisTime } from '@flux-dispatch/queue/redis';
import { adviseOnRedis } from '@flux-dispatch/queue/redis-advice';
import { createRefusalLog } from '@flux-dispatch/queue/refusals';
import { passing, redisTakesWrites, watchWrites } from '@flux-dispatch/queue/write-probe';
import type { Logger } from '@flux-dispatch/runtime/log';
import { createRegistry } from '@flux-dispatch/runtime/metrics';
import { listenOps, standardProbes } from '@flux-dispatch/runtime/ops-server';
import { runProcess } from '@flux-dispatch/runtime/process';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';
import { type DispatcherConfig, parseDispatcherConfig } from './config.ts';
import { startDeadLetterWorker } from './dead-letter-worker.ts';
import { createDispatcherMetrics, registerOpenReceipts } from './metrics.ts';
import { createRateLimitPause, type RateLimitPause } from './pause.ts';
import { createProcessor } from './processor.ts';
import { watchProgress } from './progress.ts';
import { createReaders } from './receipts/readers.ts';
import { createReceipts } from './receipts/receipts.ts';
import { startRetention } from './retention.ts';
import { startDispatchWorker, stopWorker } from './worker.ts';

// Probes and scrapes ask Redis for something: they would rather have no answer than a late one.
const OPS_TIMEOUT_MS = 1000;

await runProcess(
  'dispatcher',
  parseDispatcherConfig(process.env),
  async ({ config, build, log, stopping, stack }) => {
    const { QUEUE_PREFIX: prefix } = config;
    if (config.DRY_RUN) log.warn('DRY_RUN=true: nothing is sent to GitHub');

    // What looks into the queues, and what works on them, each with a connection of its kind.
    const refusals = createRefusalLog(log);
    const inspection = stack.adopt(connectFailFast(config, OPS_TIMEOUT_MS, log, refusals), redis =>
      redis.disconnect(),
    );
    const takesWrites = redisTakesWrites(inspection, prefix);
    stack.use(watchWrites(takesWrites, refusals));
    const inspected = [
      openDispatchQueue(inspection, prefix, log),
      openDeadLetters(inspection, prefix, log).queue,
    ] as const;
    const redis = stack.adopt(connectPatient(config, log, refusals), redis => redis.disconnect());
    adviseOnRedis(redis, log);
    const queue = openDispatchQueue(redis, prefix, log);
    const deadLetters = openDeadLetters(redis, prefix, log);
    const claims = createClaims(redis, prefix);
    const outages = createOutages(redis, prefix);

    const registry = createRegistry(build);
    const queueStates = async () => {
      // A Redis whose disk is full can still be read, but nothing moves.
      const [states] = await Promise.all([
        Promise.all(inspected.map(each => queueState(each, inspection))),
        passing(takesWrites),
      ]);
      return states;
    };
    const metrics = createDispatcherMetrics(registry, queueStates, () => paceRatio(inspected[0], inspection));
    const pause = createRateLimitPause(createPause(queue, redis), metrics, log);
    const pace = createPaceGate(queue, redis, config.DISPATCH_RATE);
    const github = config.DRY_RUN ? undefined : openGitHub(config, pause, log);
    const receiptQueue = openReceiptQueue(redis, prefix, log);
    const readers = createReaders(log, Date.now);
    const looksForRuns = github !== undefined && config.RUN_RECEIPTS === 'auto';
    const receipts = looksForRuns
      ? createReceipts({
          ...{ github, redis, dispatches: queue, queue: receiptQueue, claims, readers, pause, metrics, log },
          headroom: stack.use(watchHeadroom(inspection, log, FOR_RECEIPTS)),
          config,
        })
      : undefined;
    const receiptsLookedAt = openReceiptQueue(inspection, prefix, log);
    registerOpenReceipts(registry, async () =>
      receipts && !readers.areAllRefused() ? countOpenReceipts(receiptsLookedAt) : undefined,
    );
    const processor = createProcessor({
      ...{ github, claims, outages, deadLetters, pace, pause, metrics, log, now: Date.now, config },
      wantsReceipt: async dispatch => (await receipts?.wants(dispatch)) ?? false,
      redisTime: () => redisTime(redis),
      // The field in which BullMQ counts.
      forgetStalls: jobId => redis.hdel(queue.toKey(jobId), 'stc'),
    });

    const look = async () => {
      // While Redis refuses writes no worker can take a job.
      await passing(takesWrites);
      return queueLook(inspected[0], inspection);
    };
    const progress = stack.use(watchProgress(look, config.DISPATCH_CONCURRENCY));
    const probes = { ...standardProbes(takesWrites, stopping), alive: progress.alive };
    const ops = stack.use(await listenOps(config.METRICS_ADDR, probes, registry));
    log.info({ metrics_port: ops.port }, 'Listening');

    // Disposed first: they take no new job, and what is under way ends.
    stack.use(
      startRetention(
        {
          ...{ queue: deadLetters.queue, states: ['failed'], keepMs: config.DEAD_LETTER_RETENTION },
          ...{ name: 'Dead letters', level: 'warn' },
        },
        log,
      ),
    );
    stack.use(
      startRetention(
        {
          ...{ queue: receiptQueue, states: ['completed', 'failed'], keepMs: config.RUN_RETENTION },
          ...{ name: 'Receipts', level: 'debug' },
        },
        log,
      ),
    );
    if (receipts) stack.use(receipts.start());
    const redriving = startDeadLetterWorker({
      ...{ redis, prefix, dispatches: queue, claims, log, redisTime: () => redisTime(redis) },
    });
    stack.adopt(redriving, worker => stopWorker(worker, redis));
    const dispatching = startDispatchWorker(redis, config, progress.watched(processor), log);
    stack.adopt(dispatching, worker => stopWorker(worker, redis));
  },
);

function openGitHub(config: DispatcherConfig, pause: RateLimitPause, log: Logger): GitHub {
  const { GITHUB_APP_ID: appId, GITHUB_PRIVATE_KEY_PATH: keyPath } = config;
  if (appId === undefined || keyPath === undefined) {
    throw new Error('GITHUB_APP_ID and GITHUB_PRIVATE_KEY_PATH are required, unless DRY_RUN=true');
  }
  return createGitHub({
    apiUrl: config.GITHUB_API_URL,
    apiVersion: config.GITHUB_API_VERSION,
    appId,
    privateKey: reloadedFile(keyPath, parsePrivateKey),
    installationId: config.GITHUB_INSTALLATION_ID,
    timeoutMs: config.DISPATCH_TIMEOUT,
    onExhausted: limit => pause(limit).catch(err => log.debug({ err }, 'Pause')),
    log,
  });
}
