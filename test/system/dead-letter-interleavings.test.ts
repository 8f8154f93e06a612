import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { startDeadLetterWorker } from '@flux-dispatch/dispatcher/dead-letter-worker';
import { createDispatcherMetrics } from '@flux-dispatch/dispatcher/metrics';
import { createProcessor } from '@flux-dispatch/dispatcher/processor';
import { startDispatchWorker } from '@flux-dispatch/dispatcher/worker';
import type { ApiResult } from '@flux-dispatch/github/api-result';
import { classify } from '@flux-dispatch/github/classify';
import type { Verdict } from '@flux-dispatch/github/verdict';
import { createEnqueue } from '@flux-dispatch/ingest/enqueue';
import { type Admission, type Claims, createClaims, type Holder } from '@flux-dispatch/queue/claims';
import { type DeadLetter, openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import { createLogger } from '@flux-dispatch/runtime/log';
import type { Worker } from 'bullmq';
import fc from 'fast-check';
import { type Command, Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';

/**
 * What happens next, and to which of those that it may happen to: the nth, counted round and round.
 *
 * Whatever a process is about to do, be it a command to Redis or a call to GitHub, waits until the schedule says that it
 * may. So a schedule is an interleaving, the same one every time, and what breaks may do so between any two commands.
 */
type Step = readonly [action: Action, which: number];
type Action = keyof typeof ACTIONS;

/** What may happen, and how often it comes up. */
const ACTIONS = {
  /** Flux sends an event: of deployment A or B of an object, or of its failure F. */
  event: 6,
  /** A dispatcher looks for a dispatch to make an attempt at. */
  dispatch: 8,
  /** A dispatcher looks for an entry to park or to redrive. */
  deadLetter: 8,
  /** Something under way does what it is about to do. */
  one: 20,
  /** Something under way goes on until it ends or has to wait. */
  all: 12,
  /** The process of something under way is killed. */
  kill: 3,
  /** Redis refuses the next command of something under way, or GitHub cannot be reached. */
  refuse: 1,
  /** The next command or call is carried out, but the answer is lost: a command is sent again. */
  lose: 2,
  /** The lock of a job runs out, and another may take the job up. Its process may be alive, and only slow. */
  stall: 3,
  /** An operator presses Retry on an entry. */
  retry: 5,
  /** An operator removes an entry. */
  remove: 1,
  /** The cooldown of a deployment is over. */
  cooldown: 3,
  /** GitHub gives one of ANSWERS from now on. */
  github: 3,
  /** Some minutes pass. */
  later: 1,
};

const ANSWERS = [404, 204, 503] as const;
type Answer = (typeof ANSWERS)[number];

const schedules: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    ...Object.entries(ACTIONS).map(([action, weight]) => ({
      weight,
      arbitrary: fc.tuple(fc.constant(action as Action), fc.nat({ max: 5 })),
    })),
  ),
  { minLength: 20, maxLength: 80, size: 'max' },
);

const OBJECT = { object_id: '0'.repeat(64), repo: 'Altinn/gone' };
const DEPLOYMENTS = {
  A: { dedup_id: 'a'.repeat(64), class: 'success', event_type: 'flux-deploy' },
  B: { dedup_id: 'b'.repeat(64), class: 'success', event_type: 'flux-deploy' },
  F: { dedup_id: 'f'.repeat(64), class: 'failure', event_type: 'flux-deploy-failed' },
} as const;
type Deployment = keyof typeof DEPLOYMENTS;
const NAMES = Object.keys(DEPLOYMENTS) as Deployment[];

const SECOND_MS = 1000;
const MINUTES_MS = 600 * SECOND_MS;
const DAY_MS = 86_400 * SECOND_MS;
const START = Date.parse('2026-03-05T12:00:00Z');

const QUEUES = ['dispatch', 'deadLetter'] as const;
type QueueName = (typeof QUEUES)[number];

/** What one process does about one event, one dispatch or one entry. */
interface Work {
  readonly of: 'event' | QueueName;
  /** What it is about to do, in this order. */
  readonly requests: Request[];
  deployment: Deployment | undefined;
  job: string | undefined;
  /** It waits for a time to pass, and is about to do nothing until then. */
  asleep: boolean;
  ended: boolean;
  /** Its process is gone. */
  killed: boolean;
  /** Its job was given to another. */
  overtaken: boolean;
  /** Called when there is something that it is about to do. */
  stir: () => void;
}

/** A command to Redis or a call to GitHub. */
interface Request {
  go(): Promise<void>;
  refuse(): void;
  /** Carries it out, and loses the answer. */
  lose(): Promise<'sent again' | 'given up'>;
}

// None of the errors that the processor waits for the end of, which would take its time.
const REFUSAL = 'BUSY Redis is busy running a script';

const underWay = new AsyncLocalStorage<Work>();

function ask(work: Work, request: Request): void {
  if (work.killed) return;
  work.requests.push(request);
  work.stir();
}

/** A connection to the real Redis, on which the commands of a `Work` wait until they may go. */
class SteppedRedis extends Redis {
  override sendCommand(...[command, stream]: Parameters<Redis['sendCommand']>): unknown {
    const work = underWay.getStore();
    if (!work) return super.sendCommand(command, stream);
    // Not to the stream of a pipeline, which waits until it has all of its commands.
    const send = async (each: Command) => {
      super.sendCommand(each);
      await each.promise.catch(() => undefined);
    };
    ask(work, {
      go: () => send(command),
      refuse: () => command.reject(new Error(REFUSAL)),
      async lose() {
        // Of its own class, which knows whether to send a script or its sum.
        const Twin = command.constructor as typeof Command;
        await send(new Twin(command.name, [...command.args]));
        return 'sent again';
      },
    });
    return command.promise;
  }
}

/** A dispatch that was queued, and what has become of it. */
interface Fate {
  readonly id: string;
  readonly deployment: Deployment;
  readonly acceptedAt: number;
  /** Dispatches of a deployment have the same, unless something else was told in between. */
  run: number;
  /** In which run it was, each time that GitHub has accepted it. */
  readonly delivered: number[];
  deliveredAt: number;
  /** When GitHub has refused it for good, the last time. 0: never. */
  diedAt: number;
  /** From when on its entry stands for that. */
  buriedAt: number;
  superseded: boolean;
  /** An operator has removed its entry. */
  removed: boolean;
}

/** What is known of all dispatches, and of what there may be in Redis after that. */
function openLedger() {
  /** In the order in which they were queued. */
  const fates: Fate[] = [];
  const runs = { A: 0, B: 0, F: 0 };
  /** The run of the newest event that admit.lua has let through. */
  const admitted = { A: 0, B: 0, F: 0 };
  /** The run in which the claim was last seen as that of a delivered dispatch. */
  const settled = { A: -1, B: -1, F: -1 };
  /** How often something broke that had hold of a deployment: so often may a dispatch of it be repeated. */
  const faults = { A: 0, B: 0, F: 0 };
  /** Those of which a slow process has gone on with what another had taken up. */
  const overtaken = new Set<Deployment>();
  const find = (id: string | undefined) => fates.find(fate => fate.id === id);

  return {
    find,
    broke({ deployment }: Work) {
      if (deployment) faults[deployment]++;
    },
    overtaken({ deployment }: Work) {
      if (deployment) overtaken.add(deployment);
    },
    admitted(name: Deployment, [admission]: Admission) {
      // A success re-arms the failure, be it new or not, and one that is new the other success.
      if (admission !== 'stale' && name !== 'F') runs.F++;
      if (admission === 'add' && name !== 'F') runs[name === 'A' ? 'B' : 'A']++;
      if (admission === 'add') admitted[name] = runs[name];
    },
    queued(id: string, deployment: Deployment, acceptedAt: number) {
      fates.push({
        ...{ id, deployment, acceptedAt, run: admitted[deployment], delivered: [], deliveredAt: 0 },
        ...{ diedAt: 0, buriedAt: Number.POSITIVE_INFINITY, superseded: false, removed: false },
      });
    },
    /** Whoever holds the claim is of the newest run: admit.lua ends the claim of an older one. */
    held(deployment: Deployment, holder: Holder | undefined) {
      const fate = find(holder?.id);
      if (fate) fate.run = admitted[deployment];
      if (fate && holder?.state === 'delivered') settled[deployment] = fate.run;
    },
    answered(id: string, answer: Answer, now: number) {
      const fate = find(id);
      if (!fate || answer === 503) return;
      if (answer === 204) {
        fate.delivered.push(fate.run);
        fate.deliveredAt = now;
      } else {
        fate.diedAt = now;
        fate.buriedAt = Number.POSITIVE_INFINITY;
      }
    },
    ended(id: string, outcome: string, now: number) {
      const fate = find(id);
      if (fate && outcome === 'superseded') fate.superseded = true;
      if (fate && outcome === 'dead') fate.buriedAt = now;
    },

    /** A claim without expiry has its job and a job its claim, and that of a delivered dispatch lives on. */
    wrongClaim(name: Deployment, holder: Holder | undefined, jobs: readonly Pending[]): string[] {
      const wrong: string[] = [];
      if (holder?.state === 'pending' && !jobs.some(({ id }) => id === holder.id)) {
        wrong.push(`The claim of ${name} is held for ever by ${holder.id}, which has no job`);
      }
      if (settled[name] === admitted[name] && holder?.state !== 'delivered') {
        wrong.push(`${name} was delivered, and its claim has ended (${holder?.state ?? 'free'})`);
      }
      for (const { id, timestamp, superseded } of jobs) {
        const fate = find(id);
        // Told again since, its claim is another's. Dead or pointless it has none any more, and has only to end.
        const toldAgain = admitted[name] > (fate?.run ?? 0);
        if (toldAgain || superseded || (fate && fate.diedAt > timestamp)) continue;
        if (holder?.id !== id) wrong.push(`${id} is pending without its claim (${holder?.id ?? 'free'})`);
        else if (holder?.state === 'dead') wrong.push(`${id} is pending, and its claim will run out`);
      }
      return wrong;
    },

    /** What was accepted has come to an end that is accounted for, and nothing is told twice. */
    wrongFates(entries: readonly DeadLetter[]): string[] {
      const wrong: string[] = [];
      const hasEntry = ({ id }: Fate) => entries.some(({ dispatch_id }) => dispatch_id === id);
      const kept = (fate: Fate) =>
        fate.delivered.length > 0 || fate.superseded || fate.removed || hasEntry(fate);

      for (const [index, fate] of fates.entries()) {
        const { id, deployment, acceptedAt, run, diedAt, buriedAt } = fate;
        const same = fates.filter(each => each.deployment === deployment);
        const since = same.filter(each => each.acceptedAt >= acceptedAt && each.deliveredAt > buriedAt);
        if (since.length > 0 && hasEntry(fate) && !overtaken.has(deployment)) {
          wrong.push(`${id} has an entry, although ${since.map(each => each.id)} was delivered since`);
        }
        // By whichever order: of those that are under way at the same time, one may overtake the other.
        const newer = same.filter(
          each => each.acceptedAt > acceptedAt || fates.indexOf(each) > index || each.run > run,
        );
        // Once it has died, one that is newer may stand for it.
        if (!kept(fate) && !(diedAt > 0 && newer.some(kept))) wrong.push(`${id} is lost`);
      }
      for (const name of NAMES) {
        if (entries.filter(({ dedup_id }) => dedup_id === DEPLOYMENTS[name].dedup_id).length > 1) {
          wrong.push(`${name} has more than one entry`);
        }
        const delivered = fates.filter(fate => fate.deployment === name).flatMap(fate => fate.delivered);
        const repeats = delivered.length - new Set(delivered).size;
        if (repeats > faults[name])
          wrong.push(`${name} is told ${repeats} times more for ${faults[name]} faults`);
      }
      return wrong;
    },
  };
}

/** A job that was not given up yet. */
interface Pending {
  readonly id: string | undefined;
  readonly timestamp: number;
  readonly superseded: boolean;
}

interface Stage extends AsyncDisposable {
  /** What was logged as an outcome so far. */
  readonly outcomes: ReadonlySet<string>;
  /**
   * Plays a schedule, lets everything come to rest without further faults, and returns what is not as it must be.
   * @param cooldown DEAD_LETTER_COOLDOWN, in milliseconds
   * @param end what GitHub answers in the end
   */
  play(schedule: readonly Step[], cooldown: number, end: Answer): Promise<readonly string[]>;
}

async function openStage(redisUrl: string): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const prefix = `{interleavings-${randomUUID()}}`;
  const redis = new SteppedRedis({ ...parseRedisUrl(redisUrl), maxRetriesPerRequest: null });
  stack.defer(() => redis.disconnect());
  const outcomes = new Set<string>();
  const log = createLogger('test', 'info', { write: line => hear(JSON.parse(line)) });
  const claims = createClaims(redis, prefix);
  const deadLetters = openDeadLetters(redis, prefix, log);
  const queues = { dispatch: openDispatchQueue(redis, prefix, log), deadLetter: deadLetters.queue };
  const config = { ALLOWED_OWNERS: ['Altinn'], DISPATCH_RETRY_WINDOW: 100 * DAY_MS, DEAD_LETTER_COOLDOWN: 0 };
  const processor = createProcessor({
    ...{ claims, deadLetters, log, config, github: { attempt }, now: () => Date.now() },
    pause: async () => undefined,
    metrics: createDispatcherMetrics(new Registry(), async () => []),
  });
  const pace = { QUEUE_PREFIX: prefix, DISPATCH_CONCURRENCY: 1, DISPATCH_RATE: 'off' } as const;
  const workers = {
    dispatch: await atRest(startDispatchWorker(redis, pace, processor, log, () => MINUTES_MS)),
    deadLetter: await atRest(
      startDeadLetterWorker({ redis, prefix, dispatches: queues.dispatch, claims, log }),
    ),
  };
  for (const worker of Object.values(workers)) stack.adopt(worker, each => each.close(true));

  // Of the schedule that is being played.
  let now = START;
  let answer: Answer = 404;
  let live: Work[] = [];
  let ledger = openLedger();
  let wrong: string[] = [];
  let events = 0;
  let attempts = 0;

  async function clear(): Promise<void> {
    // What is asleep must not wake up in the next play.
    for (const work of live) work.killed = true;
    const left = await redis.keys(`${prefix}:*`);
    if (left.length > 0) await redis.unlink(left);
    answer = 404;
    live = [];
    ledger = openLedger();
    wrong = [];
    events = 0;
    attempts = 0;
    now = START;
    pass(0);
  }
  stack.defer(clear);

  function pass(ms: number): void {
    now += ms;
    vi.setSystemTime(now);
  }

  function hear({ outcome, dispatch_id }: { outcome?: string; dispatch_id?: string }): void {
    if (outcome === undefined || dispatch_id === undefined) return;
    outcomes.add(outcome);
    ledger.ended(dispatch_id, outcome, now);
  }

  /** GitHub. */
  async function attempt({ payload, repo }: Dispatch): Promise<Verdict> {
    const work = underWay.getStore();
    if (!work) throw new Error('A dispatch is sent by nobody');
    const { promise, resolve } = Promise.withResolvers<ApiResult>();
    const unreachable = () => resolve({ kind: 'network', call: 'dispatch', message: 'refused' });
    ask(work, {
      async go() {
        ledger.answered(payload.dispatch_id, answer, now);
        resolve({ kind: 'response', call: 'dispatch', status: answer, headers: {}, message: '' });
      },
      refuse: unreachable,
      async lose() {
        // What is refused is refused again. Only what was accepted makes a difference.
        if (answer === 204) ledger.answered(payload.dispatch_id, answer, now);
        unreachable();
        return 'given up';
      },
    });
    return classify(await promise, repo, now);
  }

  async function start(of: Work['of'], act: (work: Work) => Promise<void>): Promise<Work> {
    const work: Work = {
      ...{ of, requests: [], deployment: undefined, job: undefined, stir: () => undefined },
      ...{ asleep: false, ended: false, killed: false, overtaken: false },
    };
    live.push(work);
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

  /** Lets something under way do what it is about to do; what sleeps, wake up. */
  async function go(work: Work): Promise<void> {
    pass(1);
    if (work.asleep) {
      pass(50);
      await new Promise<void>(resolve => {
        work.stir = resolve;
        if (work.requests.length > 0) resolve();
      });
    } else {
      await work.requests.shift()?.go();
    }
    await goesOn(work);
  }

  /** Between two commands nothing takes longer than promises do, unless it sleeps. */
  async function goesOn(work: Work): Promise<void> {
    await turn();
    work.asleep = !work.ended && work.requests.length === 0;
    if (work.ended) live = live.filter(each => each !== work);
    const { deployment } = work;
    if (deployment) ledger.held(deployment, await claims.holder(DEPLOYMENTS[deployment].dedup_id));
  }

  async function startEvent(name: Deployment): Promise<void> {
    // Some are of the same second, and so neither is older.
    pass(SECOND_MS / 2);
    const acceptedAt = now;
    const id = `${name}${++events}`;
    const candidate: DispatchCandidate = {
      ...testDispatch({ ...OBJECT, ...DEPLOYMENTS[name] }),
      ...{ stream_id: DEPLOYMENTS[name].class, event_time: Math.floor(now / SECOND_MS) },
      ...{ repeat: 'duplicate', renewal_ms: DAY_MS },
    };
    const admit: Claims['admit'] = async requests => {
      const admissions = await claims.admit(requests);
      for (const admission of admissions) ledger.admitted(name, admission);
      return admissions;
    };
    const addBulk: typeof queues.dispatch.addBulk = async jobs => {
      const added = await queues.dispatch.addBulk(jobs);
      if (added[0]?.id === id) ledger.queued(id, name, acceptedAt);
      return added;
    };
    await start('event', async work => {
      work.deployment = name;
      const enqueue = createEnqueue({
        ...{ redis, queue: { addBulk }, claims: { admit }, newId: () => id, now: () => Date.now() },
        ...{ timeoutMs: DAY_MS, waitReplicas: 0 },
      });
      const result = await enqueue([candidate]);
      const accepted = result.kind === 'done' && result.results[0]?.outcome === 'enqueued';
      if (accepted && !ledger.find(id)) wrong.push(`${id} was accepted, and is not queued`);
    });
  }

  async function startAttempt(of: QueueName): Promise<void> {
    const work = await start(of, async work => {
      const token = `token-${++attempts}`;
      const job = await workers[of]['moveToActive'](token);
      if (!job) return;
      work.job = job.id;
      work.deployment = NAMES.find(name => DEPLOYMENTS[name].dedup_id === job.data.dedup_id);
      await workers[of].processJob(job, token, () => false);
    });
    // Nothing comes of it before it has a job.
    await go(work);
  }

  /** The jobs that a worker has taken, with what is under way about them: nothing, if that was killed. */
  async function activeJobs() {
    const ids = await Promise.all(QUEUES.map(of => redis.lrange(queues[of].toKey('active'), 0, -1)));
    return QUEUES.flatMap((of, index) =>
      (ids[index] ?? []).map(id => ({
        ...{ of, id },
        work: live.find(work => work.of === of && work.job === id && !work.overtaken),
      })),
    );
  }

  async function stall({ of, id, work }: Awaited<ReturnType<typeof activeJobs>>[number]): Promise<void> {
    if (work) {
      work.overtaken = true;
      ledger.broke(work);
      ledger.overtaken(work);
    }
    await redis.del(`${queues[of].toKey(id)}:lock`);
    // BullMQ takes a job for stalled that two checks in a row have found without a lock.
    for (let check = 0; check < 2; check++) {
      await redis.del(queues[of].toKey('stalled-check'));
      await workers[of]['moveStalledJobsToWait']();
    }
  }

  async function act([action, which]: Step): Promise<void> {
    const nth = <T>(all: readonly T[]): T | undefined => all[which % Math.max(all.length, 1)];
    const work = nth(live);
    switch (action) {
      case 'event':
        return startEvent(nth(NAMES) ?? 'A');
      case 'dispatch':
      case 'deadLetter':
        return startAttempt(action);
      case 'one':
        if (work) await go(work);
        return;
      case 'all':
        while (work && !work.ended) {
          await go(work);
          if (work.asleep) return;
        }
        return;
      case 'kill':
        if (!work) return;
        ledger.broke(work);
        work.killed = true;
        live = live.filter(each => each !== work);
        return;
      case 'refuse':
        if (!work || work.asleep) return;
        ledger.broke(work);
        work.requests.shift()?.refuse();
        return goesOn(work);
      case 'lose': {
        // A command of ingest is not sent again, and so this is the same as a kill after it.
        const request = work?.of === 'event' || work?.asleep ? undefined : work?.requests[0];
        if (!work || !request || (await request.lose()) === 'sent again') return;
        ledger.broke(work);
        work.requests.shift();
        return goesOn(work);
      }
      case 'stall': {
        const job = nth(await activeJobs());
        if (job) await stall(job);
        return;
      }
      case 'retry':
        await nth(await queues.deadLetter.getFailed())?.retry();
        return;
      case 'remove': {
        const entry = nth(await queues.deadLetter.getFailed());
        const fate = ledger.find(entry?.data.dispatch_id);
        if (fate) fate.removed = true;
        await entry?.remove();
        return;
      }
      case 'cooldown': {
        const { dedup_id } = DEPLOYMENTS[nth(NAMES) ?? 'A'];
        const holder = await claims.holder(dedup_id);
        if (holder?.state === 'dead') await redis.del(claimKeys(prefix).claim(dedup_id));
        return;
      }
      case 'github':
        answer = nth(ANSWERS) ?? 404;
        return;
      case 'later':
        return pass(MINUTES_MS);
      default:
        return action satisfies never;
    }
  }

  /** Nothing breaks any more, and all workers run, until nothing is left that could be done. */
  async function comeToRest(): Promise<void> {
    const tryAgain = answer !== 503;
    for (let round = 0; round < 100; round++) {
      for (const job of await activeJobs()) if (!job.work) await stall(job);
      let idle = live.length === 0;
      for (const of of QUEUES) {
        const counts = await queues[of].getJobCounts('wait', 'active', 'delayed');
        const { wait = 0, active = 0, delayed = 0 } = counts;
        if (delayed > 0 && tryAgain) pass(MINUTES_MS);
        const due = wait + (tryAgain ? delayed : 0);
        if (due > 0) await startAttempt(of);
        idle &&= due + active === 0;
      }
      if (idle) return;
      for (let turns = 0; turns < 8; turns++) {
        const awake = live.filter(({ asleep }) => !asleep);
        if (awake.length === 0) pass(SECOND_MS);
        for (const work of awake.length > 0 ? awake : live) await go(work);
      }
    }
    wrong.push('It does not come to rest');
  }

  async function look(): Promise<void> {
    const jobs = await queues.dispatch.getJobs(['wait', 'delayed', 'active']);
    for (const name of NAMES) {
      const { dedup_id } = DEPLOYMENTS[name];
      const pending = jobs
        .filter(({ data }) => data.dedup_id === dedup_id)
        .map(async ({ id, timestamp, data }): Promise<Pending> => {
          return { id, timestamp, superseded: await claims.isSuperseded(data) };
        });
      wrong.push(...ledger.wrongClaim(name, await claims.holder(dedup_id), await Promise.all(pending)));
    }
    if (answer === 503) return;
    wrong.push(...ledger.wrongFates((await queues.deadLetter.getFailed()).map(({ data }) => data)));
  }

  async function play(schedule: readonly Step[], cooldown: number, end: Answer): Promise<readonly string[]> {
    await clear();
    config.DEAD_LETTER_COOLDOWN = cooldown;
    for (const step of schedule) await act(step);

    // First so that no dispatch ends, and what is pending then can be seen.
    answer = 503;
    await comeToRest();
    await look();
    answer = end;
    await comeToRest();
    await look();
    answer = 204;
    for (const entry of await queues.deadLetter.getFailed()) await entry.retry();
    await comeToRest();
    await look();
    const left = await queues.deadLetter.getJobCountByTypes();
    if (left > 0) wrong.push(`${left} entries are left after Retry`);
    return wrong;
  }

  const opened = stack.move();
  return { outcomes, play, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** A worker that takes a job when it is told to, and never by itself. */
async function atRest(worker: Worker): Promise<Worker> {
  await worker.pause(true);
  // It would renew locks in between.
  await worker['lockManager'].close();
  return worker;
}

let stage: Stage;

beforeAll(async () => {
  // The clock of the processes. That of Redis goes on, where nothing expires as soon as a play ends.
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  stage = await openStage(inject('redisUrl'));
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  vi.useRealTimers();
});

const USUAL_RUNS = 150;
// The same ones every time, so that a commit breaks by what it changes. Others are found with INTERLEAVINGS=5000.
const USUAL_SEED = 20_260_305;

test('whatever breaks and whenever, nothing is lost, left over or told twice', {
  timeout: 3_600_000,
}, async () => {
  const asked = inject('interleavings');
  const settings = asked === '' ? { numRuns: USUAL_RUNS, seed: USUAL_SEED } : { numRuns: Number(asked) };
  const cooldown = fc.constantFrom(0, DAY_MS);
  const end = fc.constantFrom<Answer>(404, 204);
  await fc.assert(
    fc.asyncProperty(schedules, cooldown, end, async (...played) => {
      expect(await stage.play(...played)).toEqual([]);
    }),
    settings,
  );
  // Otherwise the schedules have become too tame to show anything.
  expect([...stage.outcomes].toSorted()).toEqual([
    'dead',
    'delivered',
    'delivered_before',
    'redriven',
    'replaced_by_newer',
    'retry',
    'superseded',
  ]);
});

// What has gone wrong before.
describe('found', () => {
  const deployed = 'event, all, dispatch';
  /** A schedule in words, where a step without a number is the first of those that there are. */
  const steps = (text: string): Step[] =>
    text.split(', ').map(step => {
      const [action, which = '0'] = step.split(' ');
      return [action as Action, Number(which)];
    });

  test.each<[string, (ones: string) => string]>([
    [
      'an entry is parked only after a newer dispatch of its deployment was delivered',
      () => `${deployed}, all, github 1, ${deployed}, all`,
    ],
    [
      'a slow process redrives an entry that another has redriven meanwhile',
      ones => `${deployed}, all, deadLetter, all, retry, deadLetter, ${ones}stall, deadLetter, all 1, all`,
    ],
    [
      'a slow process finds dead what another delivers meanwhile',
      ones => `${deployed}, ${ones}stall, github 1, dispatch, all 1, all`,
    ],
    [
      'a slow process finds dead what has died meanwhile and was redriven',
      ones =>
        `${deployed}, ${ones}stall, dispatch, all 1, deadLetter, all 1, retry, deadLetter, all 1, github 2, all`,
    ],
    [
      'a claim passes on to a newer dispatch while somebody looks at it',
      ones =>
        `${deployed}, kill, stall, dispatch, ${ones}github 1, event 1, all 1, event, all 1, dispatch, all 1, dispatch, all 1, all`,
    ],
  ])('%s', async (_, schedule) => {
    // Wherever in its commands somebody is overtaken.
    const texts = new Set(Array.from({ length: 8 }, (_, n) => schedule('one, '.repeat(n))));
    for (const text of texts) {
      for (const cooldown of [0, DAY_MS]) {
        expect(await stage.play(steps(text), cooldown, 404), text).toEqual([]);
      }
    }
  });
});
