import { randomUUID } from 'node:crypto';
import { createClaims } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { connectPatient, redisTime } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { Worker } from 'bullmq';
import { describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import { redrive } from './redrive.ts';

const HOUR_MS = 3_600_000;

async function open() {
  const prefix = `{redrive-${randomUUID()}}`;
  const log = createLogger('test', 'fatal');
  const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
  const queue = openDispatchQueue(redis, prefix, log);
  const claims = createClaims(redis, prefix);
  const worker = new Worker(queue.name, null, { connection: redis, prefix, autorun: false });
  const add = (dispatch: Dispatch) => queue.addBulk([dispatchJob(dispatch, { priority: 1 })]);

  /** Has the next job settled by `settle`, and ended. */
  async function end(settle: (dispatch: Dispatch) => Promise<unknown>) {
    const job = await worker.getNextJob('token');
    if (!job) throw new Error('No job waits');
    await settle(job.data);
    await job.moveToCompleted(undefined, 'token', false);
  }

  return {
    ...{ redis, queue, claims, add, keys: claimKeys(prefix) },
    deliver: () => end(dispatch => claims.settleDelivered(dispatch.payload.dispatch_id, dispatch)),
    async die() {
      await end(({ payload, dedup_id }) =>
        claims.settleDead(payload.dispatch_id, dedup_id, { cooldownMs: HOUR_MS }),
      );
      const [job] = await queue.getCompleted();
      // What fails is not kept.
      await redis.del(queue.toKey(job?.id ?? ''));
    },
    redrive: (dispatch: Dispatch, { resend = true, run = dispatch.accepted_at } = {}) =>
      redrive(
        {
          ...{ id: dispatch.payload.dispatch_id, name: 'again', data: dispatch, run, resend },
          ...{ dedupId: dispatch.dedup_id, streamId: dispatch.stream_id },
        },
        { dispatches: queue, claims, redisTime: () => redisTime(redis), log },
      ),
    /** The jobs that wait, oldest first. */
    async waiting() {
      const jobs = await queue.getJobs(['prioritized']);
      return jobs.map(({ id, timestamp }) => ({ id, timestamp }));
    },
    async [Symbol.asyncDispose]() {
      await worker.close(true);
      for await (const found of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
        if (found.length > 0) await redis.unlink(found);
      }
      redis.disconnect();
    },
  };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** A dispatch that GitHub has accepted, whose job is kept. */
async function delivered(d: Opened, dispatch = testDispatch()): Promise<Dispatch> {
  await d.add(dispatch);
  await d.deliver();
  return dispatch;
}

describe('a delivered dispatch that is to be sent once more', () => {
  test.each<[string, (d: Opened, dispatch: Dispatch) => Promise<unknown>]>([
    ['at once', async () => undefined],
    ['after its claim has expired', (d, { dedup_id }) => d.redis.del(d.keys.claim(dedup_id))],
    ['after its job is not kept any more', (d, { payload }) => d.queue.remove(payload.dispatch_id)],
  ])('is queued under the same id and its claim, %s', async (_, meanwhile) => {
    await using d = await open();
    const dispatch = await delivered(d);
    const { dispatch_id } = dispatch.payload;
    await meanwhile(d, dispatch);
    expect(await d.redrive(dispatch)).toBe('redriven');
    expect(await d.waiting()).toEqual([{ id: dispatch_id, timestamp: expect.any(Number) }]);
    expect((await d.waiting())[0]?.timestamp).toBeGreaterThan(dispatch.accepted_at);
    expect(await d.claims.holder(dispatch)).toEqual({ id: dispatch_id, state: 'pending' });
    // Its worker may die before GitHub has it.
    expect(await d.claims.isDelivered(dispatch_id, dispatch.dedup_id)).toBe(false);
  });

  test('is queued once, however often that is done after a crash', async () => {
    await using d = await open();
    const dispatch = await delivered(d);
    for (let time = 0; time < 2; time++) expect(await d.redrive(dispatch)).toBe('redriven');
    expect(await d.waiting()).toHaveLength(1);
    await d.deliver();
    expect(await d.redrive(dispatch)).toBe('redriven');
    expect(await d.waiting()).toEqual([]);
  });

  test('can be sent a third time, knowing when the second was queued', async () => {
    await using d = await open();
    const dispatch = await delivered(d);
    await d.redrive(dispatch);
    const [second] = await d.waiting();
    await d.deliver();
    expect(await d.redrive(dispatch, { run: second?.timestamp ?? 0 })).toBe('redriven');
    expect(await d.waiting()).toHaveLength(1);
  });

  test('can be sent again after it has died of the second time', async () => {
    await using d = await open();
    const dispatch = await delivered(d);
    await d.redrive(dispatch);
    await d.die();
    expect(await d.redrive(dispatch)).toBe('redriven');
    expect(await d.waiting()).toHaveLength(1);
  });

  test.each<[string, (d: Opened) => Promise<unknown>]>([
    ['is pending', async () => undefined],
    ['was delivered', d => d.deliver()],
    ['has died', d => d.die()],
  ])('is not sent where a newer one of its deployment %s', async (_, end) => {
    await using d = await open();
    const dispatch = await delivered(d);
    const { dedup_id, stream_id } = dispatch;
    await d.redis.del(d.keys.claim(dedup_id), d.keys.stream(stream_id ?? ''));
    const newer = testDispatch({ dedup_id, ...(stream_id && { stream_id }) });
    await d.add(newer);
    await end(d);
    expect(await d.redrive(dispatch)).toBe('replaced_by_newer');
    expect(await d.claims.holder(dispatch)).toMatchObject({ id: newer.payload.dispatch_id });
  });
});

test('a dispatch that has died is not sent where it was delivered after all', async () => {
  await using d = await open();
  const dispatch = await delivered(d);
  expect(await d.redrive(dispatch, { resend: false })).toBe('delivered_before');
  await d.queue.remove(dispatch.payload.dispatch_id);
  expect(await d.redrive(dispatch, { resend: false })).toBe('delivered_before');
  expect(await d.waiting()).toEqual([]);
});
