import { randomUUID } from 'node:crypto';
import { type Claims, createClaims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { until } from '@flux-dispatch/testbed/until';
import { type Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface ClaimQueue extends AsyncDisposable {
  readonly redis: Redis;
  readonly queue: Queue<Dispatch>;
  readonly claims: Claims;
  /** Milliseconds a claim has left; -1 without expiry, -2 without claim. */
  ttl(dispatch: Dispatch): Promise<number>;
  /** Queues a dispatch and returns the id of the job that holds its claim then. */
  add(dispatch: Dispatch): Promise<string | undefined>;
  /** Runs every job that waits through `end`, as the dispatcher would. */
  work(end: (job: { id?: string | undefined; data: Dispatch }) => Promise<void>): Promise<void>;
}

async function openQueue(): Promise<ClaimQueue> {
  const prefix = `{claims-${randomUUID()}}`;
  const log = createLogger('test', 'fatal');
  const location = parseRedisUrl(inject('redisUrl'));
  if (!location) throw new Error('REDIS_URL cannot be read');
  const redis = connectPatient({ REDIS_URL: location }, log);
  const queue = openDispatchQueue(redis, prefix, log);
  const claims = createClaims(redis, prefix);
  return {
    redis,
    queue,
    claims,
    ttl: ({ dedup_id }) => redis.pttl(claimKeys(prefix).claim(dedup_id)),
    async add(dispatch) {
      const [job] = await queue.addBulk([dispatchJob(dispatch)]);
      return job?.id;
    },
    async work(end) {
      const worker = new Worker<Dispatch>(queue.name, end, { connection: redis, prefix });
      worker.on('error', () => undefined);
      await until('the queue is empty', async () => {
        const { wait, active } = await queue.getJobCounts('wait', 'active');
        return wait === 0 && active === 0;
      });
      await worker.close();
    },
    async [Symbol.asyncDispose]() {
      await queue.obliterate({ force: true });
      redis.disconnect();
    },
  };
}

/** The same deployment once more, as another event. */
function again(first: Dispatch): Dispatch {
  return { ...first, payload: { ...first.payload, dispatch_id: randomUUID() } };
}

const request = (dispatch: Dispatch, renewal_ms = DAY_MS) => ({
  ...dispatch,
  stream_id: dispatch.object_id,
  renewal_ms,
});

test('the enqueue makes the claim, which has no expiry while the dispatch is pending', async () => {
  await using d = await openQueue();
  const first = testDispatch();
  expect(await d.claims.admit([request(first)])).toEqual([['add']]);
  expect(await d.add(first)).toBe(first.payload.dispatch_id);
  expect(await d.ttl(first)).toBe(-1);

  // A repeat goes on to the enqueue, and there comes back with the id of the one that is pending.
  expect(await d.claims.admit([request(first)])).toEqual([['add']]);
  expect(await d.add(again(first))).toBe(first.payload.dispatch_id);
  expect(await d.queue.getWaitingCount()).toBe(1);
  expect(await d.claims.countDelivered()).toBe(0);
});

test('the next event takes over a claim whose job has vanished', async () => {
  await using d = await openQueue();
  const lost = testDispatch();
  await d.add(lost);
  await d.redis.del(d.queue.toKey(lost.payload.dispatch_id));
  const next = again(lost);
  expect(await d.add(next)).toBe(next.payload.dispatch_id);
});

test('the claim of a delivered dispatch lives for its time, and a repeat renews it', async () => {
  await using d = await openQueue();
  const first = testDispatch({ claim: { delivered_ttl_ms: HOUR_MS, max_delivered: 100 } });
  const id = await d.add(first);
  await d.work(job => d.claims.settleDelivered(job.id ?? '', job.data));
  expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
  expect(await d.claims.countDelivered()).toBe(1);

  expect(await d.claims.admit([request(first, DAY_MS)])).toEqual([['repeat', id]]);
  expect(await d.ttl(first)).toSatisfy(within(DAY_MS));
  // A failure without a revision is not renewed: after the interval it is dispatched again.
  await d.redis.pexpire(claimKey(d, first), HOUR_MS);
  expect(await d.claims.admit([request(first, 0)])).toEqual([['repeat', id]]);
  expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
});

test('the claim of a dead dispatch lives for the cooldown, which a repeat does not renew', async () => {
  await using d = await openQueue();
  const first = testDispatch();
  const id = await d.add(first);
  await d.work(job => d.claims.settleDead(job.id ?? '', job.data.dedup_id, HOUR_MS));
  expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
  expect(await d.claims.countDelivered()).toBe(0);
  expect(await d.claims.admit([request(first, DAY_MS)])).toEqual([['repeat', id]]);
  expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
});

test('a cooldown of 0 ends the claim at once', async () => {
  await using d = await openQueue();
  const first = testDispatch();
  await d.add(first);
  await d.work(job => d.claims.settleDead(job.id ?? '', job.data.dedup_id, 0));
  expect(await d.ttl(first)).toBe(-2);
  expect(await d.claims.admit([request(first)])).toEqual([['add']]);
});

test('settling compares first: a claim that another dispatch holds by now is left alone', async () => {
  await using d = await openQueue();
  const old = testDispatch();
  const current = again(old);
  await d.add(current);
  await d.claims.settleDelivered(old.payload.dispatch_id, old);
  await d.claims.settleDead(old.payload.dispatch_id, old.dedup_id, 0);
  expect(await d.ttl(current)).toBe(-1);
  expect(await d.claims.countDelivered()).toBe(0);
});

test('past DEDUP_MAX_ENTRIES the claims nearest to their expiry go first, and never a pending one', async () => {
  await using d = await openQueue();
  const claim = { delivered_ttl_ms: HOUR_MS, max_delivered: 3 };
  const pending = testDispatch({ claim });
  const delivered = Array.from({ length: 3 }, () => testDispatch({ claim }));
  for (const each of delivered) await d.add(each);
  await d.work(job => d.claims.settleDelivered(job.id ?? '', job.data));
  await d.add(pending);
  // The first is seen again, so the second is now the least recently seen.
  const [first, second, third] = delivered as [Dispatch, Dispatch, Dispatch];
  await d.claims.admit([request(first, DAY_MS)]);
  await d.redis.zadd(deliveredKey(d), Date.now() + 60_000, second.dedup_id);

  const fourth = testDispatch({ claim });
  await d.redis.set(claimKey(d, fourth), fourth.payload.dispatch_id);
  await d.claims.settleDelivered(fourth.payload.dispatch_id, fourth);

  expect(await d.claims.countDelivered()).toBe(3);
  expect(await d.ttl(second)).toBe(-2);
  for (const kept of [first, third, fourth]) expect(await d.ttl(kept)).toBeGreaterThan(0);
  expect(await d.ttl(pending)).toBe(-1);
});

test('a job that was delivered before its worker died counts as delivered', async () => {
  await using d = await openQueue();
  const first = testDispatch();
  await d.add(first);
  const id = first.payload.dispatch_id;
  expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(false);
  await d.claims.settleDelivered(id, first);
  expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(true);
  expect(await d.claims.isDelivered(randomUUID(), first.dedup_id)).toBe(false);
});

test('a job does not count as delivered because an earlier one of its deployment was, once the claim of that has expired', async () => {
  await using d = await openQueue();
  const first = testDispatch();
  await d.add(first);
  await d.work(job => d.claims.settleDelivered(job.id ?? '', job.data));
  // As it does after RATE_LIMIT_INTERVAL. The index of delivered ids is only cleared when the next one is settled.
  await d.redis.del(claimKey(d, first));
  const next = again(first);
  expect(await d.add(next)).toBe(next.payload.dispatch_id);
  expect(await d.claims.isDelivered(next.payload.dispatch_id, next.dedup_id)).toBe(false);
});

function claimKey(d: ClaimQueue, { dedup_id }: Dispatch): string {
  return d.queue.toKey(`de:${dedup_id}`);
}

function deliveredKey(d: ClaimQueue): string {
  return d.queue.toKey('delivered');
}

/** At most `ms`, and more than half of it: the test itself takes no time that matters beside an hour. */
function within(ms: number) {
  return (ttl: number) => ttl <= ms && ttl > ms / 2;
}
