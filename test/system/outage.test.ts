import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { backoff } from '@flux-dispatch/dispatcher/backoff';
import { createDispatcherMetrics } from '@flux-dispatch/dispatcher/metrics';
import { createRateLimitPause } from '@flux-dispatch/dispatcher/pause';
import { createProcessor } from '@flux-dispatch/dispatcher/processor';
import { startDispatchWorker } from '@flux-dispatch/dispatcher/worker';
import { createGitHub } from '@flux-dispatch/github/github';
import { parsePrivateKey } from '@flux-dispatch/github/private-key';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createClaims } from '@flux-dispatch/queue/claims';
import { openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { createPaceGate, createPause } from '@flux-dispatch/queue/limiter';
import { createOutages } from '@flux-dispatch/queue/outages';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { until } from '@flux-dispatch/testbed/until';
import { Registry } from 'prom-client';
import { expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';

const HOUR_MS = 3_600_000;
/** How many times as fast as in life the retries pass: six hours are 10.8 seconds. */
const SPEED = 2000;

test('GitHub is away for almost the whole retry window of 6 h: nothing is lost, and the pace holds when it is back', async () => {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const stub = stack.use(await startGitHubStub(credentials.stub));
  const log = createLogger('test', 'fatal');
  const prefix = `{outage-${randomUUID()}}`;
  const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
  stack.defer(() => redis.disconnect());
  const queue = openDispatchQueue(redis, prefix, log);
  const metrics = createDispatcherMetrics(
    new Registry(),
    async () => [],
    async () => 1,
  );
  const pause = createRateLimitPause(createPause(queue, redis), metrics, log);
  const deadLetters = openDeadLetters(redis, prefix, log);
  let backAt = Number.POSITIVE_INFINITY;
  // However late a busy machine gets round to it, GitHub is back after five hours by this clock, and not after six.
  const now = () => Math.min(Date.now(), backAt);
  const processor = createProcessor({
    wantsReceipt: async () => false,
    github: createGitHub({
      apiVersion: '2026-03-10',
      apiUrl: stub.url,
      appId: credentials.appId,
      privateKey: async () => parsePrivateKey(await readFile(credentials.privateKeyPath)),
      timeoutMs: 60_000,
      onExhausted: () => undefined,
      log,
    }),
    claims: createClaims(redis, prefix),
    outages: createOutages(redis, prefix),
    ...{ deadLetters, pace: createPaceGate(queue, redis, { max: 20, per: 100 }), pause, metrics, log },
    ...{ now: Date.now, redisTime: async () => now() },
    forgetStalls: id => redis.hdel(queue.toKey(id), 'stc'),
    config: {
      ALLOWED_OWNERS: ['Altinn'],
      DISPATCH_RETRY_WINDOW: (6 * HOUR_MS) / SPEED,
      DEAD_LETTER_COOLDOWN: HOUR_MS,
    },
  });
  const config = {
    QUEUE_PREFIX: prefix,
    DISPATCH_CONCURRENCY: 16,
  } as const;
  const worker = startDispatchWorker(redis, config, processor, log, attempt => backoff(attempt) / SPEED);
  stack.defer(() => worker.close());

  stub.setFaults([{ match: { method: 'POST', path: '^/repos/' }, action: { status: 503 } }]);
  const dispatches = Array.from({ length: 100 }, () => testDispatch());
  await queue.addBulk(dispatches.map(dispatch => dispatchJob(dispatch, { priority: 1 })));
  backAt = Date.now() + (5 * HOUR_MS) / SPEED;
  await until('five hours are over', () => Date.now() > backAt);
  stub.setFaults([]);
  const clearedAt = Date.now();
  await until('all are at GitHub', () => stub.dispatches.length === 100);

  expect(await deadLetters.queue.getJobCounts()).toMatchObject({ failed: 0, waiting: 0, active: 0 });
  // The pace holds after an outage too: 100 dispatches are five windows, of which the first may have begun before.
  const times = stub.dispatches.map(({ receivedAt }) => Date.parse(receivedAt));
  expect(Math.max(...times) - clearedAt).toBeGreaterThan(290);
});
