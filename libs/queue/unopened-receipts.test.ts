import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import { createClaims } from './claims.ts';
import { claimKeys } from './keys.ts';
import { openUnopenedReceipts } from './unopened-receipts.ts';

let redis: Redis;
beforeAll(() => {
  redis = new Redis(inject('redisUrl'));
});
afterAll(() => redis.disconnect());

/** A dispatch whose job is on the queue, and what settles it. */
async function queued(prefix = `{unopened-${randomUUID()}}`) {
  const dispatch = testDispatch();
  dispatch.payload.dispatch_id = randomUUID();
  const { dispatch_id: id } = dispatch.payload;
  await redis.hset(claimKeys(prefix).job(id), 'data', JSON.stringify(dispatch));
  const claims = createClaims(redis, prefix);
  return { prefix, dispatch, id, claims, unopened: openUnopenedReceipts(redis, prefix) };
}

test('a delivery and its receipt are one write, with both times', async () => {
  const { dispatch, id, claims, unopened } = await queued();
  const deliveredAt = await claims.settleDelivered(id, dispatch, 1_772_700_000_123);
  const [receipt, ...others] = await unopened.some();
  expect(receipt).toEqual({ dispatch, deliveredAt, githubTime: 1_772_700_000_123 });
  expect(others).toEqual([]);
});

test('where GitHub did not say when, it is the time of Redis', async () => {
  const { dispatch, id, claims, unopened } = await queued();
  const deliveredAt = await claims.settleDelivered(id, dispatch, 'unknown');
  expect(await unopened.some()).toEqual([{ dispatch, deliveredAt, githubTime: deliveredAt }]);
});

test('settled again after a crash, there is one', async () => {
  const { dispatch, id, claims, unopened } = await queued();
  await claims.settleDelivered(id, dispatch, 'unknown');
  await claims.settleDelivered(id, dispatch, 'unknown');
  expect(await unopened.some()).toHaveLength(1);
});

test.each([
  ['none is wanted', (d: Awaited<ReturnType<typeof queued>>) => d.claims.settleDelivered(d.id, d.dispatch)],
  [
    'it died',
    (d: Awaited<ReturnType<typeof queued>>) =>
      d.claims.settleDead(d.id, d.dispatch.dedup_id, { cooldownMs: 1000 }),
  ],
  [
    'its job is gone',
    async (d: Awaited<ReturnType<typeof queued>>) => {
      await redis.del(claimKeys(d.prefix).job(d.id));
      await d.claims.settleDelivered(d.id, d.dispatch, 'unknown');
    },
  ],
])('there is none where %s', async (_, settle) => {
  const dispatched = await queued();
  await settle(dispatched);
  expect(await dispatched.unopened.some()).toEqual([]);
});

test('hundreds come in parts, and each is forgotten once it is on its queue', async () => {
  const { prefix, unopened } = await queued();
  const ids = new Set<string>();
  for (let n = 0; n < 250; n++) {
    const { dispatch, id, claims } = await queued(prefix);
    await claims.settleDelivered(id, dispatch, 'unknown');
    ids.add(id);
  }
  const opened = new Set<string>();
  for (let some = await unopened.some(); some.length > 0; some = await unopened.some()) {
    expect(some.length).toBeLessThan(250);
    for (const { dispatch } of some) opened.add(dispatch.payload.dispatch_id);
    await unopened.forget(some);
  }
  expect(opened).toEqual(ids);
});

test('what cannot be read does not stay in the way', async () => {
  const { prefix, unopened } = await queued();
  await redis.hset(claimKeys(prefix).unopened, { a: 'nonsense', b: '1 2 {"version":1}', c: '1 2 {' });
  expect(await unopened.some()).toEqual([]);
  expect(await redis.exists(claimKeys(prefix).unopened)).toBe(0);
});
