import { parseEvent } from '@flux-dispatch/event/event';
import type { EndedOutage } from '@flux-dispatch/queue/outages';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import { DEFAULT_ROUTING } from '@flux-dispatch/routing/config';
import { decide } from '@flux-dispatch/routing/decide';
import { fluxEvent } from '@flux-dispatch/testbed/flux';
import { expect, test } from 'vitest';
import type { Enqueue } from './enqueue.ts';
import { createEnqueueRecovery, createRecover } from './recover.ts';

const RECORDING = {
  memory: { DEDUP_TTL: 1000, DEDUP_MAX_ENTRIES: 10, DEDUP_KEEP: 10 },
  timeoutMs: 1000,
  redis: { status: 'ready' },
} as const;
const AWAY = { redis: { status: 'end' } } as const;

test('a recovery is noted for each of its objects, or the reason why not is given', async () => {
  const recovery = { object_ids: ['a', 'b'], event_time: 41 };
  const noted: unknown[] = [];
  const claims = { recover: async (...args: unknown[]) => void noted.push(args) };
  expect(await createRecover({ ...RECORDING, claims })(recovery)).toBeUndefined();
  expect(noted).toEqual([[['a', 'b'], 41, RECORDING.memory]]);
  expect(await createRecover({ ...RECORDING, ...AWAY, claims })(recovery)).toMatchObject({
    reason: expect.stringContaining('No connection to Redis'),
  });
});

const ENDED: EndedOutage = {
  outage: { id: 'outage-1', since: '2026-03-05T12:00:00Z', duration_seconds: 90 },
  ...{ endedAt: 1_772_712_090, confirmed: true },
};

/** A success for two repositories, at an Alert that takes recoveries. `ended`: the outages that it has ended. */
async function recover(
  ended: (EndedOutage | undefined)[],
  over: { readonly redis?: { readonly status: 'end' }; readonly enqueue?: Enqueue } = {},
) {
  const metadata = { dispatch_repo: 'Altinn/a,Altinn/b', dispatch_event: 'flux-recovered' };
  const parsed = parseEvent(fluxEvent({ metadata }));
  const decision = parsed.ok ? decide(parsed.event, { scope: 'all' }, DEFAULT_ROUTING) : undefined;
  if (decision?.kind !== 'recover') throw new Error(`It is ${decision?.kind}`);
  const candidates: DispatchCandidate[] = [];
  const enqueue: Enqueue = async wanted => {
    candidates.push(...wanted);
    const results = wanted.map(({ repo }) => ({ repo, outcome: 'enqueued' as const, dispatch_id: 'new' }));
    return { kind: 'done', results };
  };
  const outages = { end: async () => ended };
  const result = await createEnqueueRecovery({ ...RECORDING, outages, enqueue, ...over })(decision);
  return { result, candidates };
}

const NOT_ROUTED = {
  outcome: 'not_routed',
  message: expect.stringMatching(/^there was nothing to recover from/),
};

test('a success is dispatched where an outage has ended with it, and nowhere else', async () => {
  const { result, candidates } = await recover([undefined, ENDED]);
  expect(result).toEqual({
    kind: 'done',
    results: [
      { repo: 'Altinn/a', ...NOT_ROUTED },
      { repo: 'Altinn/b', outcome: 'enqueued', dispatch_id: 'new' },
    ],
  });
  expect(candidates).toMatchObject([
    {
      ...{ repo: 'Altinn/b', class: 'recovery', event_type: 'flux-recovered', event_time: 1_772_712_090 },
      ...{ repeat: 'duplicate', remembered: true, outage_confirmed: true, delay_ms: 0 },
      payload: {
        reason: 'ReconciliationSucceeded',
        flux: { class: 'recovery', outage: ENDED.outage },
      },
    },
  ]);
});

test('without any outage the queue is not asked', async () => {
  expect(await recover([undefined, undefined], { enqueue: () => expect.fail('It was asked') })).toMatchObject(
    {
      result: { kind: 'done', results: [NOT_ROUTED, NOT_ROUTED] },
    },
  );
});

test.each([
  ['at once', { redis: { status: 'end' } } as const],
  ['at the enqueue', { enqueue: async () => ({ kind: 'unavailable', reason: 'full' }) as const }],
])('Redis is away %s', async (_, over) => {
  expect((await recover([ENDED, undefined], over)).result).toMatchObject({ kind: 'unavailable' });
});
