import { createHash, randomUUID } from 'node:crypto';
import { type Admission, createClaims, type Memory } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob, openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { createOutages } from '@flux-dispatch/queue/outages';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import { until } from '@flux-dispatch/testbed/until';
import { Worker } from 'bullmq';
import { describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';

const HOUR_MS = 3_600_000;
const MEMORY: Memory = { DEDUP_TTL: 720 * HOUR_MS, DEDUP_MAX_ENTRIES: 100_000, DEDUP_KEEP: 2 * HOUR_MS };
/** When the stories here begin, in seconds since the epoch: long enough ago for a day of them. */
const START = Math.floor(Date.now() / 1000) - 86_400;

/** An event of an object, as ingest asks about it. Only the label, the object and the class make its identity. */
interface Event {
  readonly label: string;
  readonly object?: string;
  readonly class?: Dispatch['class'];
  /** In seconds after START. undefined: it has no time. */
  readonly at?: number | undefined;
  readonly repo?: string;
  readonly remembered?: boolean;
}

const success = (label: string, at: number | undefined, more: Partial<Event> = {}): Event => ({
  label,
  at,
  ...more,
});
const failure = (label: string, at: number | undefined, more: Partial<Event> = {}): Event => {
  return { label, at, class: 'failure', ...more };
};

const hash = (...parts: string[]) => createHash('sha256').update(parts.join(' ')).digest('hex');

function request(event: Event) {
  const { label, object = 'object', at, repo = 'Altinn/app', remembered = true } = event;
  const eventClass = event.class ?? 'success';
  return {
    dedup_id: hash(label, object, eventClass),
    stream_id: hash(object, eventClass),
    object_id: hash(object),
    event_time: at === undefined ? undefined : START + at,
    ...{ repo, remembered, class: eventClass },
  };
}

async function open(memory = MEMORY) {
  const prefix = `{claims-${randomUUID()}}`;
  const log = createLogger('test', 'fatal');
  const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
  const queue = openDispatchQueue(redis, prefix, log);
  const claims = createClaims(redis, prefix);
  const outages = createOutages(redis, prefix);
  const keys = claimKeys(prefix);

  async function admit(event: Event, isFull = false): Promise<Admission> {
    const [admission] = await claims.admit([request(event)], memory, isFull);
    if (!admission) throw new Error('There is no answer');
    return admission;
  }

  /** Asks for an event and enqueues it, as ingest does. Returns its dispatch, or why there is none. */
  async function send(event: Event): Promise<Dispatch | 'repeat' | 'stale' | 'full'> {
    const admission = await admit(event);
    if (admission.kind !== 'add') return admission.kind;
    const { stream_id, remembered, ...values } = request(event);
    const dispatch = testDispatch({
      ...{ ...values, event_time: admission.eventTime, accepted_at: admission.now },
      ...(remembered && { stream_id }),
    });
    const [job] = await queue.addBulk([dispatchJob(dispatch, admission)]);
    return job?.id === dispatch.payload.dispatch_id ? dispatch : 'repeat';
  }

  return {
    ...{ redis, queue, claims, keys, admit, send },
    /** The same, where a dispatch must come of it. */
    async enqueue(event: Event): Promise<Dispatch> {
      const sent = await send(event);
      if (typeof sent === 'string') throw new Error(`${event.label}: ${sent}`);
      return sent;
    },
    /** Has every dispatch that waits delivered, or what else `end` does, as the dispatcher would. */
    async work(
      end: (dispatch: Dispatch) => Promise<unknown> = dispatch =>
        claims.settleDelivered(dispatch.payload.dispatch_id, dispatch),
    ) {
      const worker = new Worker<Dispatch>(queue.name, job => end(job.data), { connection: redis, prefix });
      worker.on('error', () => undefined);
      await until('the queue is empty', async () => {
        const counts = await queue.getJobCounts('wait', 'prioritized', 'active');
        return Object.values(counts).every(count => count === 0);
      });
      await worker.close();
    },
    /** Whether a failure would not be sent any more. */
    async isSuperseded(dispatch: Dispatch) {
      const outage = await outages.beginAttempt(dispatch, 'token');
      await outages.endAttempt(dispatch, 'token', 'never');
      return outage === undefined;
    },
    /** Milliseconds that a claim has left; -1 without expiry, -2 without claim. */
    ttl: ({ dedup_id }: { dedup_id: string }) => redis.pttl(keys.claim(dedup_id)),
    /** Ends the claim of an event, as if an hour had passed. */
    expire: (event: Event) => redis.del(keys.claim(request(event).dedup_id)),
    /** Makes a stream so much older as seen by Redis. */
    age: (event: Event, ms: number) => redis.zincrby(keys.streams, -ms, request(event).stream_id),
    /** Makes Redis forget a stream, as when there are too many. */
    async forget(event: Event) {
      const { stream_id } = request(event);
      await redis.del(keys.stream(stream_id));
      await redis.zrem(keys.streams, stream_id);
    },
    async [Symbol.asyncDispose]() {
      for await (const found of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
        if (found.length > 0) await redis.unlink(found);
      }
      redis.disconnect();
    },
  };
}

type Opened = Awaited<ReturnType<typeof open>>;

/** At most `ms`, and more than half of it: the test itself takes no time that matters beside an hour. */
const within = (ms: number) => (ttl: number) => ttl <= ms && ttl > ms / 2;

const bury = (d: Opened, cooldownMs: number) => (dispatch: Dispatch) =>
  d.claims.settleDead(dispatch.payload.dispatch_id, dispatch.dedup_id, { cooldownMs });

describe('the claim', () => {
  test('is made by the enqueue, and has no expiry while the dispatch is pending', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    expect(await d.ttl(first)).toBe(-1);
    // A repeat goes on to the enqueue, and there comes back with the id of the one that is pending.
    expect(await d.admit(success('A', 10))).toMatchObject({ kind: 'add' });
    expect(await d.send(success('A', 10))).toBe('repeat');
    expect(await d.queue.getPrioritizedCount()).toBe(1);
    expect(await d.claims.holder(first)).toEqual({ id: first.payload.dispatch_id, state: 'pending' });
  });

  test('passes to the next event if its job has vanished', async () => {
    await using d = await open();
    const lost = await d.enqueue(success('A', 0));
    await d.redis.del(d.keys.job(lost.payload.dispatch_id));
    expect(await d.send(success('A', 1))).toMatchObject({ dedup_id: lost.dedup_id });
  });

  test('of a delivered dispatch lives for the time that the dispatch says, and a repeat does not renew it', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.work();
    expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
    await d.redis.pexpire(d.keys.claim(first.dedup_id), 60_000);
    expect(await d.admit(success('A', 10))).toEqual({
      kind: 'repeat',
      dispatchId: first.payload.dispatch_id,
    });
    expect(await d.ttl(first)).toSatisfy(within(60_000));
  });

  test('of a dead dispatch lives for its cooldown, after which the event is news', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.work(bury(d, HOUR_MS));
    expect(await d.claims.holder(first)).toEqual({ id: first.payload.dispatch_id, state: 'dead' });
    expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
    expect(await d.admit(success('A', 10))).toEqual({
      kind: 'repeat',
      dispatchId: first.payload.dispatch_id,
    });
    expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
    await d.expire(success('A', 0));
    const second = await d.enqueue(success('A', 20));
    await d.work();
    await d.expire(success('A', 0));
    expect(await d.admit(success('A', 30))).toEqual({
      kind: 'repeat',
      dispatchId: second.payload.dispatch_id,
    });
  });

  test('of a dead dispatch ends at once with a cooldown of 0', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.work(bury(d, 0));
    expect(await d.ttl(first)).toBe(-2);
    expect(await d.send(success('A', 1))).toMatchObject({ dedup_id: first.dedup_id });
  });

  test('of another dispatch is left alone by whoever settles', async () => {
    await using d = await open();
    const current = await d.enqueue(success('A', 0));
    const old = testDispatch({ ...current });
    await d.claims.settleDelivered(old.payload.dispatch_id, old);
    await d.claims.settleDead(old.payload.dispatch_id, old.dedup_id, { cooldownMs: 0 });
    expect(await d.ttl(current)).toBe(-1);
    await d.expire(success('A', 0));
    expect(await d.claims.holder(current)).toBeUndefined();
  });
});

describe('feedback', () => {
  const event = success('A', 0);
  const again = success('A', 10);
  const dead = (d: Opened, cooldownMs: number) => (dispatch: Dispatch) =>
    d.claims.settleDead(dispatch.payload.dispatch_id, dispatch.dedup_id, {
      cooldownMs,
      reason: 'Install it.',
    });
  const UNDELIVERABLE = { outcome: 'undeliverable', message: 'Install it.' };
  const NO_RUN = { outcome: 'no_run', message: 'Nobody listens.' };
  const noteNoRun = (d: Opened, dispatch: Dispatch) =>
    d.claims.noteNoRun(dispatch, 'Nobody listens.', 24 * HOUR_MS);
  /** What a repeat of a dispatch is told; fails where it is none. */
  async function told(d: Opened, { payload }: Dispatch) {
    const { kind, dispatchId, feedback } = { feedback: undefined, dispatchId: '', ...(await d.admit(again)) };
    expect({ kind, dispatchId }).toEqual({ kind: 'repeat', dispatchId: payload.dispatch_id });
    return feedback;
  }

  test('on a dead dispatch lives as long as its cooldown', async () => {
    await using d = await open();
    const first = await d.enqueue(event);
    await d.work(dead(d, HOUR_MS));
    expect(await told(d, first)).toEqual(UNDELIVERABLE);
    const [feedback, claim] = [await d.redis.pttl(d.keys.feedback(first.dedup_id)), await d.ttl(first)];
    expect(feedback).toSatisfy(within(HOUR_MS));
    expect(Math.abs(feedback - claim)).toBeLessThan(60_000);
    // What is pending is not known to be undeliverable, as little as what was delivered.
    await d.expire(event);
    const second = await d.enqueue(again);
    expect(await d.redis.exists(d.keys.feedback(first.dedup_id))).toBe(0);
    await d.work();
    expect(await told(d, second)).toBeUndefined();
  });

  test('there is none without a cooldown, from whoever does not hold the claim, or after a run that came before', async () => {
    await using d = await open();
    const first = await d.enqueue(event);
    await d.work(dead(d, 0));
    expect(await d.redis.exists(d.keys.feedback(first.dedup_id))).toBe(0);
    const second = await d.enqueue(again);
    const { dispatch_id } = second.payload;
    await dead(d, HOUR_MS)(first);
    await d.claims.settleDead(dispatch_id, second.dedup_id, { cooldownMs: HOUR_MS, run: 1, reason: 'Late' });
    expect(await d.redis.exists(d.keys.feedback(first.dedup_id))).toBe(0);
    expect(await d.ttl(second)).toBe(-1);
  });

  test.each<[string, (d: Opened, dispatch: Dispatch) => Promise<unknown>]>([
    ['a redrive', (d, { dedup_id }) => d.claims.endCooldown(dedup_id)],
    ['a retry', (d, { dedup_id, payload }) => d.claims.reopen(payload.dispatch_id, dedup_id)],
    [
      'its end as superseded',
      (d, dispatch) => d.claims.release(dispatch.payload.dispatch_id, dispatch, dispatch.accepted_at),
    ],
    [
      'a delivery after all',
      (d, dispatch) => d.claims.settleDelivered(dispatch.payload.dispatch_id, dispatch),
    ],
    // A claim that its stream has left behind.
    [
      'another deployment, and then the same again',
      d => d.enqueue(success('B', 5)).then(() => d.enqueue(again)),
    ],
  ])('is gone with %s', async (_, end) => {
    await using d = await open();
    const first = await d.enqueue(event);
    await d.work(dead(d, HOUR_MS));
    await end(d, first);
    expect(await d.redis.exists(d.keys.feedback(first.dedup_id))).toBe(0);
  });

  test('on a delivered dispatch without a run is given as long as it is remembered, until a run is seen', async () => {
    await using d = await open();
    const first = await d.enqueue(event);
    await noteNoRun(d, first);
    expect(await d.redis.exists(d.keys.feedback(first.dedup_id)), 'still pending').toBe(0);
    await d.work();
    await noteNoRun(d, first);
    expect(await told(d, first)).toEqual(NO_RUN);
    await d.expire(event);
    expect(await told(d, first)).toEqual(NO_RUN);
    expect(await d.redis.pttl(d.keys.feedback(first.dedup_id))).toSatisfy(within(24 * HOUR_MS));
    await d.claims.noteRun(first);
    expect(await told(d, first)).toBeUndefined();
    await noteNoRun(d, first);
    expect(await told(d, first), 'its stream alone remembers it').toEqual(NO_RUN);
  });

  test('on an older dispatch changes nothing, and a run of it neither', async () => {
    await using d = await open();
    const first = await d.enqueue(event);
    await d.enqueue(success('B', 5));
    const third = await d.enqueue(again);
    await d.work();
    await noteNoRun(d, first);
    expect(await told(d, third)).toBeUndefined();
    await noteNoRun(d, third);
    await d.claims.noteRun(first);
    expect(await told(d, third)).toEqual(NO_RUN);
    await d.expire(event);
    await noteNoRun(d, first);
    expect(await told(d, third)).toEqual(NO_RUN);
  });

  test('that a dispatch is dead outlives the news of a run that came of it before', async () => {
    await using d = await open();
    const first = await d.enqueue(event);
    await d.work(dead(d, HOUR_MS));
    await noteNoRun(d, first);
    await d.claims.noteRun(first);
    expect(await told(d, first)).toEqual(UNDELIVERABLE);
  });
});

describe('reopening', () => {
  const again = (d: Opened, dispatch: Dispatch) =>
    d.queue.addBulk([dispatchJob(dispatch, { priority: 1 })]).then(([job]) => job?.id);

  test.each<[string, (d: Opened) => Promise<void>]>([
    ['delivered', d => d.work()],
    ['dead', d => d.work(bury(d, HOUR_MS))],
  ])('ends the claim of a dispatch that is %s, which is then enqueued under it again', async (_, end) => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await end(d);
    await d.claims.reopen(first.payload.dispatch_id, first.dedup_id);
    expect(await d.ttl(first)).toBe(-2);
    expect(await d.redis.zscore(d.keys.delivered, first.dedup_id)).toBeNull();
    await d.queue.remove(first.payload.dispatch_id);
    expect(await again(d, first)).toBe(first.payload.dispatch_id);
    expect(await d.claims.holder(first)).toEqual({ id: first.payload.dispatch_id, state: 'pending' });
    expect(await d.send(success('A', 1))).toBe('repeat');
  });

  test('leaves the claim of a pending dispatch, and that of another one', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.claims.reopen(first.payload.dispatch_id, first.dedup_id);
    expect(await d.ttl(first)).toBe(-1);
    await d.work();
    await d.claims.reopen(randomUUID(), first.dedup_id);
    expect(await d.claims.holder(first)).toEqual({ id: first.payload.dispatch_id, state: 'delivered' });
    expect(await d.ttl(first)).toSatisfy(within(HOUR_MS));
  });
});

describe('a job that is found again', () => {
  test('was delivered if it was settled so, even when its claim has expired or belongs to another', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    const id = first.payload.dispatch_id;
    expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(false);
    await d.claims.settleDelivered(id, first);
    expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(true);
    expect(await d.claims.isDelivered(randomUUID(), first.dedup_id)).toBe(false);

    await d.expire(success('A', 0));
    expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(true);
    // What holds it is known by its stream, for whoever is to redrive an older one.
    expect(await d.claims.holder(first)).toEqual({ id, state: 'delivered' });
    await d.enqueue(success('B', 1));
    const next = await d.enqueue(success('A', 2));
    expect(await d.claims.isDelivered(id, first.dedup_id)).toBe(true);
    expect(await d.claims.isDelivered(next.payload.dispatch_id, first.dedup_id)).toBe(false);
  });

  test('was not delivered because an earlier one of its deployment was', async () => {
    await using d = await open();
    const event = failure('AccessDenied', 0, { remembered: false });
    await d.enqueue(event);
    await d.work();
    // The index of delivered ids is only cleared when the next one is settled.
    await d.expire(event);
    const next = await d.enqueue({ ...event, at: 4000 });
    expect(await d.claims.isDelivered(next.payload.dispatch_id, next.dedup_id)).toBe(false);
  });
});

describe('the stream', () => {
  test.each([
    ['a success', success('A', 0)],
    ['a failure with revision', failure('A', 0)],
  ])('remembers %s that was delivered beyond its claim', async (_, event) => {
    await using d = await open();
    const { payload } = await d.enqueue(event);
    await d.work();
    for (let day = 1; day < 4; day++) {
      await d.expire(event);
      const repeat = { kind: 'repeat', dispatchId: payload.dispatch_id };
      expect(await d.admit({ ...event, at: day * 10_000 })).toEqual(repeat);
    }
    expect(await d.claims.countStreams()).toBe(1);
  });

  test('does not remember a failure without revision: once its claim has expired it is news', async () => {
    await using d = await open();
    const event = failure('AccessDenied', 0, { remembered: false });
    const first = await d.enqueue(event);
    await d.work();
    const repeat = { kind: 'repeat', dispatchId: first.payload.dispatch_id };
    expect(await d.admit({ ...event, at: 10 })).toEqual(repeat);
    await d.expire(event);
    expect(await d.send({ ...event, at: 4000 })).toMatchObject({ dedup_id: first.dedup_id });
  });

  test('does not remember what was never delivered', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.queue.remove(first.payload.dispatch_id);
    await d.expire(success('A', 0));
    expect(await d.send(success('A', 1))).toMatchObject({ dedup_id: first.dedup_id });
  });

  test('learns from a repeat what an older version has delivered, which writes into no stream', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.work();
    await d.forget(success('A', 0));
    const repeat = { kind: 'repeat', dispatchId: first.payload.dispatch_id };
    expect(await d.admit(success('A', 1))).toEqual(repeat);
    await d.expire(success('A', 0));
    expect(await d.admit(success('A', 2))).toEqual(repeat);
  });

  test('goes from A to B and back to A in three dispatches, also while they wait', async () => {
    await using d = await open();
    const first = await d.enqueue(success('A', 0));
    await d.enqueue(success('B', 1));
    const third = await d.enqueue(success('A', 2));
    expect(await d.send(success('A', 3))).toBe('repeat');
    expect(await d.queue.getPrioritizedCount()).toBe(3);
    // The end of the first concerns neither the claim of the third nor what the stream says of it.
    await d.claims.settleDelivered(first.payload.dispatch_id, first);
    expect(await d.ttl(third)).toBe(-1);
    expect(await d.claims.holder(third)).toMatchObject({ id: third.payload.dispatch_id, state: 'pending' });
    await d.work();
    await d.expire(success('A', 0));
    const repeat = { kind: 'repeat', dispatchId: third.payload.dispatch_id };
    expect(await d.admit(success('A', 4))).toEqual(repeat);
    expect(await d.send(success('B', 5))).toMatchObject({ dedup_id: expect.any(String) });
  });

  test('that has moved on is not moved back by the end of what came before', async () => {
    await using d = await open();
    await d.enqueue(success('A', 0));
    const second = await d.enqueue(success('B', 1));
    await d.work();
    for (const label of ['A', 'B']) await d.expire(success(label, 0));
    const repeat = { kind: 'repeat', dispatchId: second.payload.dispatch_id };
    expect(await d.admit(success('B', 2))).toEqual(repeat);
    expect(await d.send(success('A', 3))).toMatchObject({ dedup_id: request(success('A', 0)).dedup_id });
  });
});

describe('a stream that was forgotten while its dispatch was pending', () => {
  test.each([
    ['a success', success('A', 0)],
    ['a failure', failure('A', 0)],
  ])('%s is remembered from its delivery on', async (_, event) => {
    await using d = await open();
    const { payload } = await d.enqueue(event);
    await d.forget(event);
    await d.work();
    expect(await d.claims.countStreams()).toBe(1);
    await d.expire(event);
    const repeat = { kind: 'repeat', dispatchId: payload.dispatch_id };
    expect(await d.admit({ ...event, at: 10_000 })).toEqual(repeat);
  });

  test('a repeat while it waits is no second dispatch', async () => {
    await using d = await open();
    await d.enqueue(success('A', 0));
    await d.forget(success('A', 0));
    expect(await d.send(success('A', 10))).toBe('repeat');
    expect(await d.send(success('B', -5))).toBe('stale');
    // Newer than what was enqueued, although a repeat of that was reported since.
    expect(await d.send(success('B', 5))).toMatchObject({ event_time: START + 5 });
  });

  test('a success re-arms a failure all the same', async () => {
    await using d = await open();
    const first = await d.enqueue(failure('A', 0));
    await d.forget(failure('A', 0));
    await d.enqueue(success('A', 10));
    expect(await d.isSuperseded(first)).toBe(true);
    expect(await d.send(failure('A', 20))).toMatchObject({ dedup_id: first.dedup_id });
  });
});

describe('re-arming', () => {
  test('a success re-arms the failures that are strictly older, for what happens after it', async () => {
    await using d = await open();
    await d.enqueue(failure('A', 10));
    await d.enqueue(failure('B', 11));
    expect(await d.send(failure('A', 12))).toBe('repeat');
    await d.enqueue(success('A', 11));
    // Reported late, it is still the old outage.
    expect(await d.send(failure('A', 10))).toBe('repeat');
    // Of the same second as the success.
    expect(await d.send(failure('B', 20))).toBe('repeat');
    expect(await d.send(failure('A', 20))).toMatchObject({ class: 'failure' });
    expect(await d.send(failure('A', 30))).toBe('repeat');
  });

  test.each([
    ['a repeated success', (d: Opened) => d.send(success('A', 20))],
    ['a success that is not routed', (d: Opened) => d.claims.recover([hash('object')], START + 20, MEMORY)],
  ])('%s does as well, pending or delivered', async (_, recover) => {
    await using d = await open();
    await d.enqueue(success('A', 0));
    await d.enqueue(failure('delivered', 10));
    await d.work();
    await d.expire(failure('delivered', 10));
    const pending = await d.enqueue(failure('pending', 10));
    await recover(d);
    expect(await d.isSuperseded(pending)).toBe(true);
    for (const label of ['delivered', 'pending']) {
      expect(await d.send(failure(label, 30)), label).toMatchObject({ class: 'failure' });
    }
  });

  test('a success that has been overtaken re-arms nothing', async () => {
    await using d = await open();
    await d.enqueue(success('B', 30));
    await d.enqueue(failure('A', 40));
    expect(await d.send(success('A', 20))).toBe('stale');
    expect(await d.send(failure('A', 50))).toBe('repeat');
  });

  test('a failure ends no claim of another failure', async () => {
    await using d = await open();
    await d.enqueue(failure('UpgradeFailed', 0));
    await d.enqueue(failure('RollbackSucceeded', 5));
    for (let at = 10; at < 100; at += 10) {
      expect(await d.send(failure('UpgradeFailed', at))).toBe('repeat');
      expect(await d.send(failure('RollbackSucceeded', at + 5))).toBe('repeat');
    }
  });

  // Found by the interleavings: the later report lost its claim to the next one after the success.
  test('two reports of a failure that overtake each other are one dispatch, of the time of the later', async () => {
    await using d = await open();
    await d.send(success('A', 20));
    // At another replica, which has not enqueued it yet.
    await d.admit(failure('A', 20));
    expect(await d.enqueue(failure('A', 19))).toMatchObject({ event_time: START + 20 });
    expect(await d.send(failure('A', 30))).toBe('repeat');
  });

  test('what is superseded ends its claim, and is news again after the success', async () => {
    await using d = await open();
    const first = await d.enqueue(failure('A', 10));
    await d.enqueue(success('A', 20));
    await d.claims.release(first.payload.dispatch_id, first, first.accepted_at);
    expect(await d.ttl(first)).toBe(-2);
    expect(await d.send(failure('A', 30))).toMatchObject({ dedup_id: first.dedup_id });
  });

  test.each([
    ['pending', async () => undefined],
    ['delivered', (d: Opened) => d.work()],
  ])('over 64 failures in a stream, concurrently: all re-armed (%s)', async (_, end) => {
    await using d = await open();
    const labels = Array.from({ length: 300 }, (_, n) => `failure ${n}`);
    await Promise.all(labels.map(label => d.enqueue(failure(label, 0))));
    await end(d);
    // An object that breaks in ever new ways does not grow its stream without end.
    expect(await d.redis.hlen(d.keys.stream(request(failure('', 0)).stream_id))).toBeLessThan(270);
    const early = await Promise.all(labels.map(label => d.send(failure(label, 5))));
    expect(early.filter(sent => sent !== 'repeat')).toEqual([]);

    await d.enqueue(success('A', 10));
    const again = await Promise.all(labels.map(label => d.send(failure(label, 20))));
    expect(again.filter(sent => typeof sent === 'string')).toEqual([]);
  });
});

describe('time', () => {
  test.each([
    ['of the same second', 0, 'as it says'],
    ['1 s older', 1, 'stale'],
    ['120 s older', 120, 'stale'],
    ['121 s older', 121, 'as of its arrival'],
    ['an hour older', 3600, 'as of its arrival'],
  ])('an event %s than the newest of its stream: %s', async (_, older, expected) => {
    for (const make of [success, failure]) {
      await using d = await open();
      await d.enqueue(make('A', 10_000));
      const before = await redisSeconds(d);
      const admission = await d.admit(make('B', 10_000 - older));
      if (expected === 'stale') expect(admission).toEqual({ kind: 'stale' });
      else if (expected === 'as it says') expect(admission).toMatchObject({ eventTime: START + 10_000 });
      else expect(admission).toSatisfy(arrivedAfter(before));
    }
  });

  test.each([
    ['without a time', undefined],
    ['of the future', 10 * 86_400],
  ])('an event %s counts as of its arrival', async (_, at) => {
    await using d = await open();
    const before = await redisSeconds(d);
    expect(await d.admit(success('A', at))).toSatisfy(arrivedAfter(before));
    expect(await d.admit(success('B', 86_400 - 60))).toEqual({ kind: 'stale' });
  });

  test.each([1, 120])(
    'a failure that is reported %s s after the success that ended its outage is superseded',
    async late => {
      await using d = await open();
      await d.enqueue(success('A', 10_000));
      expect(await d.isSuperseded(await d.enqueue(failure('A', 10_000 - late)))).toBe(true);
    },
  );

  test('a failure from a clock that is far behind that of the last success counts as of its arrival', async () => {
    await using d = await open();
    await d.enqueue(success('A', 10_000));
    for (const outage of [1, 2]) {
      expect(await d.isSuperseded(await d.enqueue(failure('A', 9_800)))).toBe(false);
      expect(await d.send(failure('A', 9_810))).toBe('repeat');
      const [before] = await d.redis.time();
      await until('the clock of Redis goes on', async () => (await d.redis.time())[0] !== before);
      await d.send(success(`B ${outage}`, 9_820));
      const [recovered] = await d.redis.time();
      await until('the clock of Redis goes on', async () => (await d.redis.time())[0] !== recovered);
    }
  });

  test('a success that is not routed, from a clock that is far behind, re-arms as of its arrival', async () => {
    await using d = await open();
    await d.claims.recover([hash('object')], START + 10_000, MEMORY);
    const first = await d.enqueue(failure('A', 10_001));
    await d.claims.recover([hash('object')], START + 9_500, MEMORY);
    expect(await d.isSuperseded(first)).toBe(true);
  });

  test('a dispatch that is tried anew does not make what is newer stale, or what is older news', async () => {
    await using d = await open();
    await d.enqueue(success('A', 100));
    await d.work(bury(d, 0));
    await d.enqueue(success('A', 60));
    expect(await d.send(success('B', 80))).toBe('stale');
  });
});

describe('memory', () => {
  const objects = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `object ${from + n}`);

  test('nothing that was seen within DEDUP_KEEP is forgotten, however many there are', async () => {
    await using d = await open({ ...MEMORY, DEDUP_MAX_ENTRIES: 2 });
    const events = objects(6).map(object => success('A', 0, { object }));
    for (const event of events) await d.enqueue(event);
    await d.work();
    for (const event of events) await d.expire(event);
    expect(await d.claims.countStreams()).toBe(6);
    for (const event of events) expect(await d.send({ ...event, at: 10 })).toBe('repeat');
  });

  test('past DEDUP_MAX_ENTRIES what was not seen for longest goes first', async () => {
    await using d = await open({ ...MEMORY, DEDUP_MAX_ENTRIES: 3 });
    const events = objects(4).map(object => success('A', 0, { object }));
    for (const event of events) await d.enqueue(event);
    await d.work();
    for (const event of events) await d.expire(event);
    const [first, second, third, fourth] = events as [Event, Event, Event, Event];
    for (const [event, hours] of [
      [first, 5],
      [second, 4],
      [third, 3],
      [fourth, 1],
    ] as const) {
      await d.age(event, hours * HOUR_MS);
    }
    // The first is seen again.
    expect(await d.send({ ...first, at: 10 })).toBe('repeat');
    await d.enqueue(success('A', 0, { object: 'new' }));
    // Two are more than DEDUP_MAX_ENTRIES.
    expect(await d.claims.countStreams()).toBe(3);
    for (const kept of [first, fourth]) expect(await d.send({ ...kept, at: 20 })).toBe('repeat');
    for (const gone of [second, third]) {
      expect(await d.redis.exists(d.keys.stream(request(gone).stream_id))).toBe(0);
    }
  });

  test('at most 100 are forgotten at a time', async () => {
    await using d = await open({ ...MEMORY, DEDUP_MAX_ENTRIES: 1 });
    const old = objects(250);
    for (const object of old) await d.redis.zadd(d.keys.streams, Date.now() - 3 * HOUR_MS, object);
    const counts = [];
    for (const object of objects(4, 1000)) {
      await d.enqueue(success('A', 0, { object }));
      counts.push(await d.claims.countStreams());
    }
    expect(counts).toEqual([151, 52, 3, 4]);
  });

  test('what was not seen for DEDUP_TTL is forgotten, however few there are', async () => {
    await using d = await open();
    const event = success('A', 0, { object: 'old' });
    await d.enqueue(event);
    expect(await d.redis.pttl(d.keys.stream(request(event).stream_id))).toSatisfy(within(MEMORY.DEDUP_TTL));
    await d.age(event, MEMORY.DEDUP_TTL + 1000);
    await d.enqueue(success('A', 0, { object: 'new' }));
    expect(await d.claims.countStreams()).toBe(1);
  });

  test('that an object has recovered is forgotten by the same rules', async () => {
    await using d = await open();
    const memory = { ...MEMORY, DEDUP_MAX_ENTRIES: 2 };
    const recover = (id: string) => d.claims.recover([id], START, memory);
    for (const id of ['a', 'b', 'c', 'd']) await recover(id);
    expect(await d.redis.hlen(d.keys.healthy)).toBe(4);
    for (const id of ['b', 'c']) await d.redis.zincrby(d.keys.objects, -3 * HOUR_MS, id);
    await recover('a');
    expect((await d.redis.hkeys(d.keys.healthy)).toSorted()).toEqual(['a', 'd']);
    expect(await d.redis.zcard(d.keys.objects)).toBe(2);
  });
});

describe('two sources that overwrite each other', () => {
  const alternate = async (d: Opened, from: number, count: number) => {
    const conflicts = [];
    for (let n = from; n < from + count; n++) {
      const event = success(n % 2 === 0 ? 'A' : 'B', n);
      const admission = await d.admit(event);
      conflicts.push(admission.kind === 'add' && admission.conflict);
    }
    return conflicts;
  };
  const hourPasses = async (d: Opened) => {
    const stream = d.keys.stream(request(success('A', 0)).stream_id);
    for (const field of ['turned', 'warned']) {
      const time = await d.redis.hget(stream, field);
      if (time) await d.redis.hset(stream, field, Number(time) - 3601);
    }
  };

  test('are reported once an hour, from the fifth time on that the stream goes back', async () => {
    await using d = await open();
    expect(await alternate(d, 0, 8)).toEqual([false, false, false, false, false, false, true, false]);
    await hourPasses(d);
    expect(await alternate(d, 8, 6)).toEqual([false, false, false, false, true, false]);
  });

  test('are none if they alternate less often', async () => {
    await using d = await open();
    for (let hour = 0; hour < 4; hour++) {
      expect(await alternate(d, hour * 4, 4)).not.toContain(true);
      await hourPasses(d);
    }
  });

  test('are none if every event is another one', async () => {
    await using d = await open();
    for (let n = 0; n < 10; n++) {
      expect(await d.admit(success(`artifact ${n}`, n))).toMatchObject({ conflict: false });
    }
  });
});

test('a Redis without room takes nothing that is new, and knows what is a repeat', async () => {
  await using d = await open();
  await d.enqueue(success('A', 0));
  expect(await d.admit(success('B', 1), true)).toEqual({ kind: 'full' });
  expect(await d.admit(success('A', 1), true)).toMatchObject({ kind: 'add' });
  await d.work();
  expect(await d.admit(success('A', 2), true)).toMatchObject({ kind: 'repeat' });
  expect(await d.admit(success('B', 1), true)).toEqual({ kind: 'full' });
  expect(await d.send(success('B', 1))).toMatchObject({ dedup_id: hash('B', 'object', 'success') });
});

describe('turns', () => {
  let objects = 0;
  const deploy = (d: Opened, repo: string) =>
    d.enqueue(success('A', 0, { object: `turn ${objects++}`, repo }));
  const order = async (d: Opened) =>
    (await d.queue.getJobs(['prioritized'], 0, -1, true)).map(({ data }) => data.repo);

  test('a repository that is new goes behind at most one dispatch of each that waits', async () => {
    await using d = await open();
    for (let n = 0; n < 5; n++) await deploy(d, 'Altinn/x');
    for (let n = 0; n < 2; n++) await deploy(d, 'Altinn/y');
    await deploy(d, 'Altinn/z');
    const names = (await order(d)).map(repo => repo.at(-1)).join('');
    expect(names).toBe('xyzxyxxx');
  });

  test('what a repository has dispatched before does not hold it back', async () => {
    await using d = await open();
    for (let n = 0; n < 20; n++) {
      await deploy(d, 'Altinn/x');
      await d.work();
    }
    for (let n = 0; n < 5; n++) await deploy(d, 'Altinn/y');
    await deploy(d, 'Altinn/x');
    expect((await order(d)).map(repo => repo.at(-1)).join('')).toBe('yxyyyy');
  });

  test('the case of a repository makes no difference', async () => {
    await using d = await open();
    for (const repo of ['Altinn/x', 'altinn/X', 'ALTINN/x', 'Altinn/y']) await deploy(d, repo);
    expect(await order(d)).toEqual(['Altinn/x', 'Altinn/y', 'altinn/X', 'ALTINN/x']);
  });

  test('a repeat of what is pending costs its repository no turn', async () => {
    await using d = await open();
    const event = success('A', 0, { object: 'reported again and again', repo: 'Altinn/x' });
    await d.enqueue(event);
    for (let at = 1; at < 20; at++) expect(await d.send({ ...event, at })).toBe('repeat');
    for (let n = 0; n < 3; n++) await deploy(d, 'Altinn/y');
    await deploy(d, 'Altinn/x');
    expect((await order(d)).map(repo => repo.at(-1)).join('')).toBe('xyyxy');
  });

  test('what is redriven comes last, and pushes nothing that is new back', async () => {
    await using d = await open();
    const { dispatchJobOptions, LAST_PRIORITY } = await import('@flux-dispatch/queue/dispatch-queue');
    const redrive = async (repo: string) => {
      const dispatch = testDispatch({ repo });
      const { dispatch_id } = dispatch.payload;
      await d.queue.add(
        'redriven',
        dispatch,
        dispatchJobOptions(dispatch_id, dispatch.dedup_id, LAST_PRIORITY),
      );
    };
    await redrive('Altinn/old');
    await deploy(d, 'Altinn/x');
    for (let n = 0; n < 3; n++) await redrive('Altinn/old');
    await deploy(d, 'Altinn/x');
    await deploy(d, 'Altinn/old');
    const names = (await order(d)).map(repo => repo.at(-1)).join('');
    expect(names).toBe('xdxdddd');
    await d.work();
  });

  test('turns start over when nothing waits, and nothing was admitted a moment ago', async () => {
    await using d = await open();
    const next = () => d.admit(success('A', 0, { object: `next ${objects++}`, repo: 'Altinn/x' }));
    for (let n = 0; n < 3; n++) await deploy(d, 'Altinn/x');
    await d.work();
    await d.redis.hincrby(d.keys.turns, 'given_at', -3000);
    // The second is admitted before the first has been added.
    expect([await next(), await next()]).toMatchObject([{ priority: 1 }, { priority: 2 }]);
  });

  test('a dispatch that is tried again does not set the turns back', async () => {
    await using d = await open();
    const tried = await deploy(d, 'Altinn/tried');
    const { dispatch_id } = tried.payload;
    await d.redis.zrem(d.queue.toKey('prioritized'), dispatch_id);
    for (let n = 0; n < 5; n++) await deploy(d, 'Altinn/x');
    for (let n = 0; n < 3; n++) await d.redis.zpopmin(d.queue.toKey('prioritized'));
    await deploy(d, 'Altinn/y');
    await d.redis.zadd(d.queue.toKey('prioritized'), 2 ** 32, dispatch_id);
    for (let n = 0; n < 3; n++) await deploy(d, 'Altinn/z');
    expect((await order(d)).map(repo => repo.at(-1)).join('')).toBe('dxyzxzz');
  });
});

async function redisSeconds({ redis }: Opened): Promise<number> {
  return Number((await redis.time())[0]);
}

/** Admitted with the time of Redis at its arrival. */
function arrivedAfter(before: number) {
  return (admission: Admission) =>
    admission.kind === 'add' &&
    admission.eventTime >= before &&
    admission.eventTime === Math.floor(admission.now / 1000);
}
