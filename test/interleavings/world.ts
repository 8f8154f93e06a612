import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { startDeadLetterWorker } from '@flux-dispatch/dispatcher/dead-letter-worker';
import { createDispatcherMetrics } from '@flux-dispatch/dispatcher/metrics';
import { createProcessor } from '@flux-dispatch/dispatcher/processor';
import { startDispatchWorker } from '@flux-dispatch/dispatcher/worker';
import type { ApiResult } from '@flux-dispatch/github/api-result';
import { classify } from '@flux-dispatch/github/classify';
import type { Verdict } from '@flux-dispatch/github/verdict';
import { type Claims, createClaims } from '@flux-dispatch/queue/claims';
import { type DeadLetter, openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { createOutages } from '@flux-dispatch/queue/outages';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import { Registry } from 'prom-client';
import { vi } from 'vitest';
import { atRest } from './at-rest.ts';
import { createEvents } from './events.ts';
import { memoryOf, type RedisMemory } from './memory.ts';
import type { EventName } from './model.ts';
import type { Answer } from './schedule.ts';
import { initialState, type State } from './state.ts';
import { ask, QUEUES, type QueueName, REFUSAL, SteppedRedis, underWay, type Work } from './stepped-redis.ts';

export const SECOND_MS = 1000;
export const MINUTES_MS = 600 * SECOND_MS;
export const DAY_MS = 86_400 * SECOND_MS;
const MEMORY = { DEDUP_TTL: 30 * DAY_MS, DEDUP_MAX_ENTRIES: 100, DEDUP_KEEP: DAY_MS };

/** A job that a worker has taken, and what is under way about it: nothing, if that was killed. */
export interface ActiveJob {
  readonly of: QueueName;
  readonly id: string;
  readonly work: Work | undefined;
}

/** Ingest, dispatchers and GitHub, which act only when a step makes them, on the real Redis. */
export interface World extends AsyncDisposable, RedisMemory {
  readonly state: State;
  /** What was logged as an outcome so far. */
  readonly outcomes: ReadonlySet<string>;
  readonly claims: Claims;
  readonly queues: { readonly dispatch: Queue<Dispatch>; readonly deadLetter: Queue<DeadLetter> };
  /**
   * Forgets all that has happened.
   * @param cooldown DEAD_LETTER_COOLDOWN from now on, in milliseconds
   * @param answer what GitHub answers at first
   */
  reset(cooldown: number, answer?: Answer): Promise<void>;
  pass(ms: number): void;
  /** Flux sends an event. */
  startEvent(name: EventName): Promise<void>;
  /** Whether an operator has removed the entry of a recovery, or it never came to be queued. */
  isGivenUp(outage: string): boolean;
  /** A worker looks for a job, and takes it up. */
  startAttempt(of: QueueName): Promise<void>;
  /** Lets something under way do what it is about to do; what sleeps, wake up. */
  go(work: Work): Promise<void>;
  /** Looks at what has become of something under way: to be called when it was given an answer. */
  goesOn(work: Work): Promise<void>;
  activeJobs(): Promise<readonly ActiveJob[]>;
  /** The lock of a job runs out, and the job waits for another worker. */
  stall(job: ActiveJob): Promise<void>;
}

export async function openWorld(redisUrl: string): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const prefix = `{interleavings-${randomUUID()}}`;
  const redis = new SteppedRedis({ ...parseRedisUrl(redisUrl), maxRetriesPerRequest: null });
  stack.defer(() => redis.disconnect());
  const outcomes = new Set<string>();
  const log = createLogger('test', 'info', { write: line => noteOutcome(JSON.parse(line)) });
  const claims = createClaims(redis, prefix);
  const outages = createOutages(redis, prefix);
  const deadLetters = openDeadLetters(redis, prefix, log);
  const queues = { dispatch: openDispatchQueue(redis, prefix, log), deadLetter: deadLetters.queue };
  const config = { ALLOWED_OWNERS: ['Altinn'], DISPATCH_RETRY_WINDOW: 100 * DAY_MS, DEAD_LETTER_COOLDOWN: 0 };
  const redisTime = async () => Date.now();
  const processor = createProcessor({
    wantsReceipt: async () => false,
    ...{ claims, outages, deadLetters, log, config, github: { attempt }, now: () => Date.now(), redisTime },
    forgetStalls: id => redis.hdel(queues.dispatch.toKey(id), 'stc'),
    pace: async () => 0,
    pause: async () => undefined,
    metrics: createDispatcherMetrics(
      new Registry(),
      async () => [],
      async () => 1,
    ),
  });
  const one = { QUEUE_PREFIX: prefix, DISPATCH_CONCURRENCY: 1 };
  const workers = {
    dispatch: await atRest(startDispatchWorker(redis, one, processor, log, () => MINUTES_MS)),
    deadLetter: await atRest(
      startDeadLetterWorker({ redis, prefix, dispatches: queues.dispatch, claims, log, redisTime }),
    ),
  };
  for (const worker of Object.values(workers)) stack.adopt(worker, each => each.close(true));
  const state = initialState();

  async function reset(cooldown: number, answer?: Answer): Promise<void> {
    // What is asleep must not wake up in the next run.
    for (const work of state.live) work.killed = true;
    const left = await redis.keys(`${prefix}:*`);
    if (left.length > 0) await redis.unlink(left);
    Object.assign(state, initialState(answer));
    config.DEAD_LETTER_COOLDOWN = cooldown;
    pass(0);
  }
  stack.defer(() => reset(0));

  function pass(ms: number): void {
    state.now += ms;
    vi.setSystemTime(state.now);
  }

  function noteOutcome({ outcome, dispatch_id }: { outcome?: string; dispatch_id?: string }): void {
    if (outcome === undefined || dispatch_id === undefined) return;
    outcomes.add(outcome);
    state.model.ended(dispatch_id, outcome, state.now);
  }

  /** GitHub. */
  async function attempt(dispatch: Dispatch): Promise<Verdict> {
    const { payload, repo } = dispatch;
    const work = underWay.getStore();
    if (!work) throw new Error('A dispatch was sent outside of any work');
    const outageAttempt = state.outages.attempt(dispatch, state.now - dispatch.accepted_at > 300 * SECOND_MS);
    const { promise, resolve } = Promise.withResolvers<ApiResult>();
    const unreachable = (message: string) => resolve({ kind: 'network', call: 'dispatch', message });
    const answered = () => {
      state.model.answered(payload.dispatch_id, state.answer, state.now);
      if (outageAttempt) state.outages.answered(dispatch.class, outageAttempt, state.answer === 204);
    };
    ask(work, {
      async go() {
        answered();
        resolve({ kind: 'response', call: 'dispatch', status: state.answer, headers: {}, message: '' });
      },
      refuse: () => unreachable('connect ECONNREFUSED'),
      async lose() {
        // What is refused is refused again. Only what was accepted makes a difference, which the dispatcher cannot know.
        if (state.answer === 204) answered();
        else if (outageAttempt) state.outages.lost(outageAttempt);
        unreachable('read ECONNRESET');
        return 'given up';
      },
    });
    return classify(await promise, repo, state.now);
  }

  async function start(of: Work['of'], act: (work: Work) => Promise<void>): Promise<Work> {
    const work: Work = {
      ...{ of, requests: [], deployment: undefined, job: undefined, onRequest: () => undefined },
      ...{ asleep: false, ended: false, killed: false, overtaken: false },
    };
    const { wrong } = state;
    state.live.push(work);
    underWay
      .run(work, () => act(work))
      .catch((error: Error) => {
        if (error.message !== REFUSAL) wrong.push(`${of} ${work.job}: ${error.message}`);
      })
      .finally(() => {
        work.ended = true;
      });
    await turn();
    return work;
  }

  async function go(work: Work): Promise<void> {
    pass(1);
    if (work.asleep) {
      pass(50);
      await new Promise<void>(resolve => {
        work.onRequest = resolve;
        if (work.requests.length > 0) resolve();
      });
    } else {
      await work.requests.shift()?.go();
    }
    await goesOn(work);
  }

  // Between two commands nothing takes longer than promises do, unless it sleeps.
  async function goesOn(work: Work): Promise<void> {
    await turn();
    work.asleep = !work.ended && work.requests.length === 0;
    if (work.ended) state.live = state.live.filter(each => each !== work);
    const { deployment } = work;
    const ids = deployment && state.model.known.get(deployment);
    if (ids) state.model.held(deployment, await claims.holder({ dedup_id: ids.dedup_id }));
  }

  const startEvent = createEvents({
    ...{ redis, claims, outages, queue: queues.dispatch },
    ...{ state, memory: MEMORY, start, passMs: pass },
  });

  async function startAttempt(of: QueueName): Promise<void> {
    const work = await start(of, async work => {
      const token = `token-${++state.attempts}`;
      const job = await workers[of]['moveToActive'](token);
      if (!job) return;
      work.job = job.id;
      const known = [...state.model.known].find(([, { dedup_id }]) => dedup_id === job.data.dedup_id);
      work.deployment = known?.[0];
      await workers[of].processJob(job, token, () => false);
    });
    // Nothing comes of it before it has a job.
    await go(work);
  }

  async function activeJobs(): Promise<readonly ActiveJob[]> {
    const ids = await Promise.all(QUEUES.map(of => redis.lrange(queues[of].toKey('active'), 0, -1)));
    return QUEUES.flatMap((of, index) =>
      (ids[index] ?? []).map(id => ({
        ...{ of, id },
        work: state.live.find(work => work.of === of && work.job === id && !work.overtaken),
      })),
    );
  }

  async function stall({ of, id, work }: ActiveJob): Promise<void> {
    if (work) {
      work.overtaken = true;
      state.model.broke(work);
      state.model.overtaken(work);
    }
    await redis.del(`${queues[of].toKey(id)}:lock`);
    // BullMQ takes a job for stalled that two checks in a row have found without a lock.
    for (let check = 0; check < 2; check++) {
      await redis.del(queues[of].toKey('stalled-check'));
      await workers[of]['moveStalledJobsToWait']();
    }
  }

  const opened = stack.move();
  return {
    isGivenUp: outage => state.model.isGivenUp(`recovery from ${outage}`),
    ...{ state, outcomes, claims, queues, reset, pass, startEvent, startAttempt, go, goesOn },
    ...{ activeJobs, stall, ...memoryOf(redis, claims, outages, prefix) },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
