import { parseEvent } from '@flux-dispatch/event/event';
import { createEnqueue } from '@flux-dispatch/ingest/enqueue';
import { createEnqueueRecovery } from '@flux-dispatch/ingest/recover';
import type { Claims, Memory } from '@flux-dispatch/queue/claims';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Outages } from '@flux-dispatch/queue/outages';
import { recoveryCandidate } from '@flux-dispatch/routing/candidate';
import { DEFAULT_ROUTING } from '@flux-dispatch/routing/config';
import { decide } from '@flux-dispatch/routing/decide';
import { fluxEvent } from '@flux-dispatch/testbed/flux';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { testDispatch } from '../support/a-dispatch.ts';
import { DEPLOYMENTS, type EventName } from './model.ts';
import { START, type State } from './state.ts';
import type { Work } from './stepped-redis.ts';

const DAY_MS = 86_400_000;
const REPO = 'Altinn/gone';

/** A success as the Alert of recoveries reports it. */
const RECOVERY = recoveryOf(
  fluxEvent({ metadata: { dispatch_repo: REPO, dispatch_event: 'flux-recovered' } }),
);
const [OBJECT_ID = ''] = RECOVERY.recovery.object_ids;

function recoveryOf(body: Buffer) {
  const parsed = parseEvent(body);
  const decision = parsed.ok ? decide(parsed.event, { scope: 'all' }, DEFAULT_ROUTING) : undefined;
  if (decision?.kind !== 'recover') throw new Error(`It is ${decision?.kind}`);
  return decision;
}

export interface EventDependencies {
  readonly redis: Redis;
  readonly queue: Queue<Dispatch>;
  readonly claims: Claims;
  readonly outages: Outages;
  readonly memory: Memory;
  readonly state: State;
  readonly start: (of: 'event', act: (work: Work) => Promise<void>) => Promise<Work>;
  readonly passMs: (ms: number) => void;
}

/** Ingest, as far as it deals with one event. Tells the model what Redis has answered. */
export function createEvents(dependencies: EventDependencies): (name: EventName) => Promise<void> {
  const { redis, queue, claims, outages, memory, state, start, passMs } = dependencies;
  const recording = { redis, memory, timeoutMs: DAY_MS };

  function noteSuccess(at: number): void {
    state.model.succeeded(at);
    state.outages.succeeded(at);
  }

  /** @param id of the dispatch that may come of it @param time of the event, in seconds since the epoch */
  function enqueueFor(work: Work, name: EventName, id: string, time: number) {
    const acceptedAt = state.now;
    const { model } = state;
    const admit: Claims['admit'] = async (requests, limits) => {
      const admissions = await claims.admit(requests, limits, false);
      for (const admission of admissions) {
        if (admission.kind !== 'stale' && (name === 'A' || name === 'B')) noteSuccess(time);
        if (work.deployment) model.admitted(work.deployment, admission);
      }
      // By the clock of the processes instead of that of Redis.
      return admissions.map(each => (each.kind === 'add' ? { ...each, now: Date.now() } : each));
    };
    const addBulk: typeof queue.addBulk = async jobs => {
      const added = await queue.addBulk(jobs);
      if (added[0]?.id === id && work.deployment) model.queued(id, work.deployment, acceptedAt);
      return added;
    };
    return createEnqueue({
      ...{ ...recording, queue: { addBulk }, claims: { admit }, newId: () => id },
      ...{ waitReplicas: 0, onConflict: () => undefined },
      headroom: { room: () => undefined, took: () => undefined },
    });
  }

  /** Ends the outage of a success for the Alert of recoveries. From then on the event is about that recovery. */
  function endFor(work: Work): Outages['end'] {
    return async (objects, time = 0, limits) => {
      const ended = await outages.end(objects, time, limits);
      noteSuccess(time);
      state.outages.looked(time, ended[0]?.outage.id);
      if (!ended[0]) return ended;
      work.deployment = `recovery from ${ended[0].outage.id}`;
      state.model.knows(work.deployment, recoveryCandidate(RECOVERY.routed, REPO, ended[0]));
      return ended;
    };
  }

  return async name => {
    passMs(500);
    const id = `${name}${++state.events}`;
    // Two are of the same second, and so neither is older. The minutes of a schedule do not count: what is late by more
    // than two of them is from a clock that differs.
    const event_time = Math.floor(START / 1000 + state.events / 2);
    await start('event', async work => {
      const enqueue = enqueueFor(work, name, id, event_time);
      let result: Awaited<ReturnType<typeof enqueue>>;
      if (name === 'R') {
        const recover = createEnqueueRecovery({ ...recording, outages: { end: endFor(work) }, enqueue });
        result = await recover({ ...RECOVERY, recovery: { ...RECOVERY.recovery, event_time } });
      } else {
        work.deployment = name;
        const candidate = {
          ...testDispatch({ object_id: OBJECT_ID, repo: REPO }),
          ...DEPLOYMENTS[name],
          ...({ repeat: 'duplicate', remembered: true, delay_ms: 0, event_time } as const),
        };
        result = await enqueue([candidate]);
      }
      const outcome = result.kind === 'done' ? result.results[0]?.outcome : undefined;
      if (outcome === 'enqueued' && !state.model.find(id)) {
        state.wrong.push(`${id} was accepted, and is not queued`);
      }
      if (outcome === 'stale' && name === 'R') state.wrong.push(`${id}, a ${work.deployment}, was stale`);
    });
  };
}
