import { randomUUID } from 'node:crypto';
import { createLogger } from '@flux-dispatch/runtime/log';
import { describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import { createClaims, type Memory } from './claims.ts';
import type { Dispatch, Outage } from './dispatch.ts';
import { claimKeys } from './keys.ts';
import { createOutages, type EndedAttempt } from './outages.ts';
import { connectPatient } from './redis.ts';
import { parseRedisUrl } from './redis-url.ts';

const DAY_MS = 86_400_000;
const MEMORY: Memory = { DEDUP_TTL: 30 * DAY_MS, DEDUP_MAX_ENTRIES: 100, DEDUP_KEEP: 7_200_000 };
/** Long enough ago that no time here is in the future. */
const START = Math.floor(Date.now() / 1000) - 86_400;
const at = (second: number) => new Date((START + second) * 1000).toISOString().replace('.000Z', 'Z');

/** An object, of which `fail` makes failures. Times are in seconds after START. */
function open(memory = MEMORY) {
  const prefix = `{outages-${randomUUID()}}`;
  const log = createLogger('test', 'fatal');
  const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
  const keys = claimKeys(prefix);
  const claims = createClaims(redis, prefix);
  const outages = createOutages(redis, prefix);
  const object_id = 'c'.repeat(64);
  const { DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP } = memory;
  const outage_memory = { ttl_ms: DEDUP_TTL, max_entries: DEDUP_MAX_ENTRIES, keep_ms: DEDUP_KEEP };
  const idOf = ({ payload }: Dispatch) => payload.dispatch_id;
  const begin = (dispatch: Dispatch, token = 'token') => outages.beginAttempt(dispatch, token);
  return {
    ...{ redis, keys, claims, begin },
    fail: (second: number, object = object_id): Dispatch =>
      testDispatch({
        ...{ class: 'failure', object_id: object, event_time: START + second, outage_memory },
      }),
    retry: (dispatch: Dispatch, token = 'token', ended: EndedAttempt = 'again') =>
      outages.endAttempt(dispatch, token, ended),
    deliver: (dispatch: Dispatch) => claims.settleDelivered(idOf(dispatch), dispatch),
    die: (dispatch: Dispatch) =>
      claims.settleDead(idOf(dispatch), dispatch.dedup_id, { cooldownMs: 0, failureOf: dispatch.object_id }),
    /** Has a failure delivered. */
    async delivered(dispatch: Dispatch): Promise<Outage | undefined> {
      const outage = await begin(dispatch);
      await claims.settleDelivered(idOf(dispatch), dispatch);
      return outage;
    },
    succeed: (second: number, object = object_id) => claims.recover([object], START + second, memory),
    /** A success for an Alert that takes recoveries. */
    async recover(second: number, object = object_id) {
      const [ended] = await outages.end([object], START + second, memory);
      return ended;
    },
    state: (outage: string) => {
      const { payload } = testDispatch();
      const flux = { ...payload.flux, outage: { id: outage, since: at(0) } };
      return outages.stateOf({
        ...testDispatch({ object_id, class: 'recovery' }),
        payload: { ...payload, flux },
      });
    },
    remembered: (object = object_id) => redis.exists(keys.outages(object)),
    async [Symbol.asyncDispose]() {
      for await (const found of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
        if (found.length > 0) await redis.unlink(found);
      }
      redis.disconnect();
    },
  };
}

const idOf = ({ payload }: Dispatch) => payload.dispatch_id;

describe('a failure', () => {
  test('opens an outage with its own id and time, and those after it belong to it', async () => {
    await using o = open();
    const first = o.fail(10);
    const outage = { id: idOf(first), since: at(10) };
    expect(await o.delivered(first)).toEqual(outage);
    // Whatever the reason, and in whichever order.
    for (const second of [20, 10, 5]) expect(await o.delivered(o.fail(second))).toEqual(outage);
  });

  test('belongs to the outage of another that is under way', async () => {
    await using o = open();
    const [first, second] = [o.fail(10), o.fail(11)];
    const [opened, joined] = await Promise.all([o.begin(first), o.begin(second)]);
    expect(joined).toEqual(opened);
    await o.die(first);
    expect(await o.state(idOf(first))).toBe('tried');
    await o.deliver(second);
    expect(await o.state(idOf(first))).toBe('confirmed');
  });

  test.each<[string, (o: ReturnType<typeof open>, dispatch: Dispatch) => Promise<unknown>]>([
    ['that dies', (o, dispatch) => o.die(dispatch)],
    ['that is not sent at all', (o, dispatch) => o.retry(dispatch, 'token', 'never')],
    ['that is superseded', (o, dispatch) => o.succeed(20).then(() => o.begin(dispatch))],
  ])('%s leaves no outage that nobody has heard of', async (_, end) => {
    await using o = open();
    const first = o.fail(10);
    await o.begin(first);
    await end(o, first);
    expect(await o.state(idOf(first))).toBe('gone');
    expect(await o.remembered()).toBe(0);
    expect(await o.recover(30)).toBeUndefined();
    const next = o.fail(40);
    expect(await o.begin(next)).toEqual({ id: idOf(next), since: at(40) });
  });

  test('that waits for its next attempt keeps its outage, which others join', async () => {
    await using o = open();
    const [first, other] = [o.fail(10), o.fail(20)];
    const outage = await o.begin(first, 'one');
    await o.retry(first, 'one', 'again');
    expect(await o.state(idOf(first))).toBe('gone');
    expect(await o.delivered(other)).toEqual(outage);
    expect(await o.begin(first, 'two')).toEqual(outage);
    await o.retry(first, 'two', 'again');
    // What only waits now is superseded, so that nothing is left to wait for.
    expect(await o.recover(30)).toMatchObject({
      outage: { id: idOf(first), since: at(10) },
      confirmed: true,
    });
    expect(await o.begin(first, 'three')).toBeUndefined();
  });

  test('that only waits is no reason for a recovery', async () => {
    await using o = open();
    const first = o.fail(10);
    await o.begin(first, 'one');
    await o.retry(first, 'one', 'again');
    expect(await o.recover(30)).toBeUndefined();
    expect(await o.begin(first, 'two')).toBeUndefined();
    expect(await o.begin(o.fail(40))).toMatchObject({ since: at(40) });
  });

  test('that GitHub may have although it did not answer has its recovery', async () => {
    await using o = open();
    const first = o.fail(10);
    const outage = await o.begin(first, 'one');
    await o.retry(first, 'one', 'doubtful');
    expect(await o.recover(30)).toMatchObject({ outage: { ...outage, duration_seconds: 20 } });
    expect(await o.begin(first, 'two')).toBeUndefined();
    expect(await o.state(idOf(first))).toBe('confirmed');
  });

  test('that dies, of an outage that was delivered, leaves it as it is', async () => {
    await using o = open();
    const outage = await o.delivered(o.fail(10));
    for (const end of [o.die, o.retry]) {
      const next = o.fail(20);
      await o.begin(next);
      await end(next);
      expect(await o.begin(o.fail(30))).toEqual(outage);
    }
  });

  test.each([
    [9, false],
    [10, false],
    [11, true],
  ])('of second 10 is superseded by a success of second %i: %s', async (second, isSuperseded) => {
    await using o = open();
    await o.succeed(second);
    expect((await o.begin(o.fail(10))) === undefined).toBe(isSuperseded);
  });

  test('after the object has recovered opens another outage; in the same second it does not', async () => {
    await using o = open();
    const outage = await o.delivered(o.fail(10));
    await o.succeed(10);
    expect(await o.delivered(o.fail(12))).toEqual(outage);
    await o.succeed(11);
    const next = o.fail(12);
    expect(await o.delivered(next)).toEqual({ id: idOf(next), since: at(12) });
  });
});

describe('a worker that dies while GitHub may have the failure', () => {
  test('has opened an outage: also where the failure is superseded, or dies', async () => {
    for (const success of [undefined, 20]) {
      await using o = open();
      const first = o.fail(10);
      await o.begin(first, 'of the dead');
      if (success) await o.succeed(success);
      const again = await o.begin(first, 'of another');
      expect(again === undefined).toBe(success !== undefined);
      if (again) await o.die(first);
      expect(await o.state(idOf(first))).toBe('confirmed');
      expect((await o.recover(30))?.outage.id).toBe(idOf(first));
    }
  });

  test('is not one whose command was sent twice', async () => {
    await using o = open();
    const first = o.fail(10);
    expect(await o.begin(first)).toEqual(await o.begin(first));
    await o.retry(first);
    expect(await o.state(idOf(first))).toBe('gone');
  });

  test('and is only slow, does not end the attempt of another', async () => {
    await using o = open();
    const first = o.fail(10);
    await o.begin(first, 'slow');
    await o.begin(first, 'of another');
    await o.retry(first, 'slow');
    expect(await o.state(idOf(first))).toBe('tried');
  });
});

describe('a success for an Alert that takes recoveries', () => {
  test('ends the outage that began strictly before it, however often it is reported', async () => {
    await using o = open();
    const first = o.fail(10);
    await o.delivered(first);
    for (const second of [9, 10]) expect(await o.recover(second)).toBeUndefined();
    const outage = { id: idOf(first), since: at(10), duration_seconds: 90 };
    expect(await o.recover(100)).toEqual({ outage, endedAt: START + 100, confirmed: true });
    expect(await o.recover(160)).toMatchObject({ outage, endedAt: START + 160 });
  });

  test('lasted until the first success after it, whichever Alert took that', async () => {
    await using o = open();
    await o.delivered(o.fail(10));
    await o.succeed(70);
    await o.succeed(40);
    expect(await o.recover(100)).toMatchObject({ outage: { duration_seconds: 30 } });
  });

  test('re-arms failures as any other success does', async () => {
    await using o = open();
    await o.recover(20);
    expect(await o.begin(o.fail(10))).toBeUndefined();
  });

  test('ends an outage whose first failure is under way, which is not known to be delivered', async () => {
    await using o = open();
    const first = o.fail(10);
    await o.begin(first);
    expect(await o.recover(20)).toMatchObject({ outage: { id: idOf(first) }, confirmed: false });
    expect(await o.state(idOf(first))).toBe('tried');
    await o.deliver(first);
    expect(await o.state(idOf(first))).toBe('confirmed');
  });

  test('ends the outage of its time, also where the next one has begun', async () => {
    await using o = open();
    const [first, second] = [o.fail(10), o.fail(30)];
    await o.delivered(first);
    await o.succeed(20);
    await o.begin(second);
    expect((await o.recover(20))?.outage.id).toBe(idOf(first));
    expect((await o.recover(40))?.outage.id).toBe(idOf(second));
    // That of the second was not delivered in the end.
    await o.die(second);
    expect((await o.recover(40))?.outage.id).toBe(idOf(first));
  });

  test('finds an outage that another has replaced while its failure was under way', async () => {
    await using o = open();
    const [first, second] = [o.fail(10), o.fail(30)];
    await o.begin(first);
    await o.recover(20);
    await o.begin(second);
    expect(await o.state(idOf(first))).toBe('tried');
    await o.deliver(first);
    expect(await o.state(idOf(first))).toBe('confirmed');
  });
});

describe('memory', () => {
  test('the newest 8 outages of an object are remembered, and attempts that are under way', async () => {
    await using o = open();
    const stuck = o.fail(0);
    await o.begin(stuck);
    for (let n = 1; n <= 20; n++) {
      await o.succeed(n * 10 - 5);
      await o.delivered(o.fail(n * 10));
    }
    // And when all but the newest ended.
    expect(await o.redis.hlen(o.keys.outages(stuck.object_id))).toBe(9 + 7);
    expect((await o.recover(135))?.outage.since).toBe(at(130));
    expect(await o.recover(125)).toBeUndefined();
  });

  test('an object that was not seen for DEDUP_TTL is forgotten, with its outages', async () => {
    await using o = open();
    const [old, other] = [o.fail(10), o.fail(10, 'd'.repeat(64))];
    await o.delivered(old);
    expect(await o.redis.pttl(o.keys.outages(old.object_id))).toBeGreaterThan(MEMORY.DEDUP_TTL / 2);
    await o.redis.zincrby(o.keys.objects, -MEMORY.DEDUP_TTL - 1000, old.object_id);
    await o.delivered(other);
    expect(await o.remembered()).toBe(0);
    expect(await o.remembered(other.object_id)).toBe(1);
  });

  test('past DEDUP_MAX_ENTRIES objects, a success or a failure of another one makes it forgotten', async () => {
    const another = 'd'.repeat(64);
    for (const what of ['succeed', 'recover', 'fail'] as const) {
      await using o = open({ ...MEMORY, DEDUP_MAX_ENTRIES: 1 });
      const old = o.fail(10);
      await o.delivered(old);
      await o.succeed(20);
      await o.redis.zincrby(o.keys.objects, -MEMORY.DEDUP_KEEP - 1000, old.object_id);
      if (what === 'fail') await o.begin(o.fail(30, another));
      else await o[what](30, another);
      expect(await o.remembered(), what).toBe(0);
      expect(await o.redis.hexists(o.keys.healthy, old.object_id), what).toBe(0);
    }
  });
});
