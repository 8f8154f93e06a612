import { openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { createFindDeadLetter } from '@flux-dispatch/queue/find-dead-letter';
import { openReceiptQueue } from '@flux-dispatch/queue/receipt';
import { connectFailFast, redisUnavailable } from '@flux-dispatch/queue/redis';
import { createRefusalLog } from '@flux-dispatch/queue/refusals';
import { redisTakesWrites, watchWrites } from '@flux-dispatch/queue/write-probe';
import { listen } from '@flux-dispatch/runtime/http-server';
import { createRegistry } from '@flux-dispatch/runtime/metrics';
import { listenOps, standardProbes } from '@flux-dispatch/runtime/ops-server';
import { runProcess } from '@flux-dispatch/runtime/process';
import { createAuthenticate } from './auth.ts';
import { createBullBoardRoutes } from './bull-board.ts';
import { parseBoardConfig } from './config.ts';
import { findEntry } from './entry.ts';
import { findDispatch } from './find.ts';
import { retryAll } from './retry-all.ts';
import { runsPageOf } from './runs-page.ts';
import { createBoardApp } from './server.ts';

// Operators need an answer that says that Redis is slow, not an empty page.
const REDIS_TIMEOUT_MS = 5000;

await runProcess('board', parseBoardConfig(process.env), async running => {
  const { config, build, log, stopping, stack } = running;
  const { QUEUE_PREFIX: prefix, BOARD_READ_ONLY: readOnly } = config;
  if (config.BOARD_AUTH === 'none') {
    log.warn(
      'BOARD_AUTH=none: whoever reaches the loopback address of this machine or pod can use the board',
    );
  }
  const refusals = createRefusalLog(log);
  const redis = stack.adopt(connectFailFast(config, REDIS_TIMEOUT_MS, log, refusals), redis =>
    redis.disconnect(),
  );
  const takesWrites = redisTakesWrites(redis, prefix);
  stack.use(watchWrites(takesWrites, refusals));
  const dispatches = openDispatchQueue(redis, prefix, log);
  const deadLetters = openDeadLetters(redis, prefix, log).queue;
  const receipts = openReceiptQueue(redis, prefix, log);
  const findDeadLetter = createFindDeadLetter(redis, deadLetters);
  const registry = createRegistry(build);
  const probes = standardProbes(takesWrites, stopping);
  const ops = stack.use(await listenOps(config.METRICS_ADDR, probes, registry));
  const app = createBoardApp({
    authenticate: createAuthenticate(config, log),
    readOnly,
    bullBoard: createBullBoardRoutes({ dispatches, deadLetters, receipts }, readOnly),
    redisUnavailable: () => redisUnavailable(redis),
    findEntry: action => findEntry(action, { deadLetters, receipts }),
    findDispatch: id => findDispatch(id, { dispatches, deadLetters, receipts, findDeadLetter }),
    runsPage: id => runsPageOf(id, receipts),
    retryAll: () => retryAll(deadLetters, redis),
    log,
  });
  const server = stack.use(await listen(config.BOARD_ADDR, app.callback()));
  log.info({ board_port: server.port, metrics_port: ops.port }, 'Listening');
});
