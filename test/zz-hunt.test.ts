import { AsyncLocalStorage } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { SendResult } from '@flux-dispatch/dispatcher/classify';
import { startDeadLetterWorker } from '@flux-dispatch/dispatcher/dead-letter-worker';
import { createDispatcherMetrics } from '@flux-dispatch/dispatcher/metrics';
import { createProcessor } from '@flux-dispatch/dispatcher/processor';
import { startDispatchWorker } from '@flux-dispatch/dispatcher/worker';
import type { DispatchRequest } from '@flux-dispatch/ingest/decide';
import { enqueue } from '@flux-dispatch/ingest/enqueue';
import { type Claims, createClaims } from '@flux-dispatch/queue/claims';
import { openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { parseRedisUrl } from '@flux-dispatch/queue/redis';
import { createLogger } from '@flux-dispatch/runtime/log';
import type { Worker } from 'bullmq';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { testDispatch } from './dispatch.ts';

/**
 * What happens next, and to which of those that it may happen to: the nth, counted round and round.
 *
 * Processes are stood still before every command to Redis and every call to GitHub, and go on when the schedule says so.
 * So a schedule is an interleaving, the same one each time, and a kill may come between any two commands.
 */
type Step = readonly [action: Action, which: number];

/** The actions, and how often each comes up. */
const WEIGHTS = {
  /** Flux sends an event: of deployment A or B of an object, or of its failure F. */
  event: 6,
  /** A dispatcher looks for a dispatch to make an attempt at. */
  dispatch: 8,
  /** A dispatcher looks for an entry to park or to redrive. */
  deadLetter: 8,
  /** Something under way does its next command or call. */
  one: 20,
  /** Something under way goes on until it ends or has to wait. */
  all: 12,
  /** The process of something under way is killed. */
  kill: 3,
  /** The next command of something under way is refused, or its call to GitHub fails. */
  refuse: 1,
  /** A job's lock runs out, and another may take the job up. Its process may be alive, and only slow. */
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
type Action = keyof typeof WEIGHTS;

const schedules: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    ...Object.entries(WEIGHTS).map(([action, weight]) => ({
      weight,
      arbitrary: fc.tuple(fc.constant(action as Action), fc.nat({ max: 5 })),
    })),
  ),
  { minLength: 20, maxLength: 80, size: 'max' },
);

const ANSWERS = [404, 204, 503] as const;
type Answer = (typeof ANSWERS)[number];

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

/** What one process does about one event, one dispatch or one entry. */
interface Work {
  readonly of: 'event' | 'dispatch' | 'deadLetter';
  /** What it is about to do, in order. */
  readonly requests: Request[];
  /** What it has got hold of. */
  deployment: Deployment | undefined;
  job: string | undefined;
  /** Whether it waits for a time to pass, with nothing to do until then. */
  asleep: boolean;
  ended: boolean;
  /** Its process is gone. */
  killed: boolean;
  /** Its job was given to another. */
  stalled: boolean;
  /** Called when there is something that it is about to do, or it has ended. */
  stir: () => void;
}

/** A command to Redis or a call to GitHub. */
interface Request {
  go(): Promise<unknown>;
  refuse(): void;
}

const TRACE: string[] = [];
const scriptName = (c: any) => { const t = String(c.args.join(' ')); return (/moveToActive|--\[\[\s*(.*)/.exec(t)?.[1] ?? '') + (/^-- (.*)/m.exec(t)?.[0]??'').slice(0,40) + '#' + String(c.args[0]).length + ':' + String(c.args[0]).slice(0,6) };
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
    ask(work, {
      go: async () => {
        TRACE.push(`   ${work.of} ${work.deployment ?? ''} ${work.job ?? ''}: ${(command as any).constructor.name === 'CustomScriptCommand' ? scriptName(command) : command.name} ${command.args.slice(0,3).map(a => String(a).length > 70 ? '…' : String(a).replace(/.*\}:/, '')).join(' ')}`);
        setTimeout(() => undefined, 0);
        command.promise.then(v => TRACE.push(`        = ${JSON.stringify(v)?.slice(0, 100)}`), e => TRACE.push(`        ! ${e.message}`));
        // Not to the stream of a pipeline, which waits until it has all of its commands.
        super.sendCommand(command);
        await command.promise.catch(() => undefined);
      },
      // None of the errors that the processor waits for the end of, which takes its time.
      refuse: () => command.reject(new Error('BUSY Redis is busy running a script')),
    });
    return command.promise;
  }
}

/** A dispatch that was queued, in the order of that, and what has become of it. */
interface Fate {
  readonly id: string;
  readonly deployment: Deployment;
  /** Dispatches of the same deployment have the same, unless something else was told in between. */
  readonly run: number;
  readonly acceptedAt: number;
  /** How often GitHub has accepted it. */
  taken: number;
  takenAt: number;
  /** When GitHub has refused it for good, the last time. 0: never. */
  diedAt: number;
  superseded: boolean;
  /** An operator has removed its entry. */
  removed: boolean;
}

interface Stage extends AsyncDisposable {
  /** The outcomes that were logged in all plays, and how often. */
  readonly outcomes: ReadonlyMap<string, number>;
  /**
   * Plays a schedule, then lets all come to rest with no more faults, and returns what is not as it must be.
   * @param cooldown DEAD_LETTER_COOLDOWN in milliseconds
   * @param end what GitHub answers in the end
   */
  play(schedule: readonly Step[], cooldown: number, end: Answer): Promise<readonly string[]>;
}

async function openStage(redisUrl: string): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const prefix = `{interleavings-${randomUUID()}}`;
  const keys = claimKeys(prefix);
  const outcomes = new Map<string, number>();
  const log = createLogger('test', 'info', { write: line => hear(JSON.parse(line)) });
  const redis = new SteppedRedis({ ...parseRedisUrl(redisUrl), maxRetriesPerRequest: null });
  stack.defer(() => redis.disconnect());
  const queue = openDispatchQueue(redis, prefix, log);
  const deadLetters = openDeadLetters(redis, prefix, log);
  const entries = deadLetters.queue;
  const claims = createClaims(redis, prefix);
  const config = { ALLOWED_OWNERS: ['Altinn'], DISPATCH_RETRY_WINDOW: 100 * DAY_MS, DEAD_LETTER_COOLDOWN: 0 };
  const processor = createProcessor({
    ...{ claims, deadLetters, log, config, github: { send }, now: () => Date.now() },
    pause: async () => undefined,
    metrics: createDispatcherMetrics(new Registry(), async () => []),
  });
  const pace = { QUEUE_PREFIX: prefix, DISPATCH_CONCURRENCY: 1, DISPATCH_RATE: 'off' } as const;
  const workers = {
    dispatch: await atRest(startDispatchWorker(redis, pace, processor, log, () => MINUTES_MS)),
    deadLetter: await atRest(startDeadLetterWorker({ redis, prefix, dispatches: queue, claims, log })),
  };
  for (const worker of Object.values(workers)) stack.adopt(worker, each => each.close(true));
  const queues = { dispatch: queue, deadLetter: entries };
  const KINDS = ['dispatch', 'deadLetter'] as const;

  let now = START;
  let answer: Answer = 404;
  let live: Work[] = [];
  let fates: Fate[] = [];
  let runs: Record<Deployment, number>;
  /** In which run admit.lua has let the newest through. */
  let admitted: Record<Deployment, number>;
  /** How often something broke that had hold of a deployment: as often may its dispatches be repeated. */
  let faults: Record<Deployment, number>;
  let wrong: string[] = [];
  let asked = 0;
  let tokens = 0;

  async function clear(): Promise<void> {
    // What still sleeps must not wake up in another play.
    for (const work of live) work.killed = true;
    const left = await redis.keys(`${prefix}:*`);
    if (left.length > 0) await redis.unlink(left);
    live = [];
    fates = [];
    runs = { A: 0, B: 0, F: 0 };
    admitted = { A: 0, B: 0, F: 0 };
    faults = { A: 0, B: 0, F: 0 };
    wrong = [];
    asked = 0;
    now = START;
    answer = 404;
    pass(0);
  }
  stack.defer(clear);

  function pass(ms: number): void {
    now += ms;
    vi.setSystemTime(now);
  }

  function hear({ outcome, dispatch_id }: { outcome?: string; dispatch_id?: string }): void {
    if (outcome === undefined) return;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const fate = fates.find(({ id }) => id === dispatch_id);
    if (fate && outcome === 'superseded') fate.superseded = true;
  }

  /** GitHub. */
  function send({ payload }: Dispatch): Promise<SendResult> {
    const work = underWay.getStore();
    if (!work) throw new Error('A dispatch is sent by nobody');
    const { promise, resolve } = Promise.withResolvers<SendResult>();
    ask(work, {
      go: async () => {
        TRACE.push(`   GITHUB ${payload.dispatch_id} ${answer}`);
        const fate = fates.find(({ id }) => id === payload.dispatch_id);
        if (fate && answer === 204) Object.assign(fate, { taken: fate.taken + 1, takenAt: now });
        if (fate && answer === 404) fate.diedAt = now;
        resolve({ kind: 'response', step: 'dispatch', status: answer, headers: {}, message: '' });
      },
      refuse: () => resolve({ kind: 'network', step: 'dispatch', message: 'refused' }),
    });
    return promise;
  }

  async function start(of: Work['of'], act: (work: Work) => Promise<void>): Promise<void> {
    const work: Work = {
      ...{ of, requests: [], deployment: undefined, job: undefined, stir: () => undefined },
      ...{ asleep: false, ended: false, killed: false, stalled: false },
    };
    const end = () => {
      work.ended = true;
      work.stir();
    };
    live.push(work);
    underWay.run(work, () => act(work)).then(end, end);
    await turn();
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
    await cameAsFarAsItDoes(work);
  }

  async function refuse(work: Work): Promise<void> {
    const request = work.requests.shift();
    if (work.asleep || !request) return;
    broke(work);
    request.refuse();
    await cameAsFarAsItDoes(work);
  }

  /** Between two commands nothing waits for anything but promises, unless it sleeps. */
  async function cameAsFarAsItDoes(work: Work): Promise<void> {
    await turn();
    work.asleep = !work.ended && work.requests.length === 0;
    if (work.ended) live = live.filter(each => each !== work);
  }

  function broke({ deployment }: Work): void {
    if (deployment) faults[deployment]++;
  }

  function startEvent(name: Deployment): Promise<void> {
    // Some are of the same second.
    pass(SECOND_MS / 2);
    const deployment = DEPLOYMENTS[name];
    const request: DispatchRequest = {
      ...{ ...testDispatch({ ...OBJECT, ...deployment }), stream_id: deployment.class },
      ...{ event_time: Math.floor(now / SECOND_MS), repeat: 'duplicate', renewal_ms: DAY_MS },
    };
    const id = `${name}${++asked}`;
    const acceptedAt = now;
    const admit: Claims['admit'] = async requests => {
      const admissions = await claims.admit(requests);
      const admission = admissions[0]?.[0];
      // A success re-arms the failure, be it new or not, and one that is new the other success.
      if (admission !== 'stale' && name !== 'F') runs.F++;
      if (admission === 'add' && name !== 'F') runs[name === 'A' ? 'B' : 'A']++;
      if (admission === 'add') admitted[name] = runs[name];
      return admissions;
    };
    const addBulk: typeof queue.addBulk = async jobs => {
      const run = admitted[name];
      const added = await queue.addBulk(jobs);
      if (added[0]?.id === id) {
        fates.push({
          ...{ id, deployment: name, run, acceptedAt, taken: 0, takenAt: 0, diedAt: 0 },
          ...{ superseded: false, removed: false },
        });
      }
      return added;
    };
    return start('event', async work => {
      work.deployment = name;
      const result = await enqueue([request], {
        ...{ redis, queue: { addBulk }, claims: { admit }, newId: () => id, now: () => Date.now() },
        ...{ timeoutMs: DAY_MS, waitReplicas: 0 },
      });
      const accepted = result.kind === 'done' && result.dispatches[0]?.outcome === 'enqueued';
      if (accepted && !fates.some(fate => fate.id === id)) wrong.push(`${id} was accepted, and is not queued`);
    });
  }

  function startAttempt(of: 'dispatch' | 'deadLetter'): Promise<void> {
    return start(of, async work => {
      const token = `token-${++tokens}`;
      const job = await workers[of]['moveToActive'](token);
      if (!job) return;
      work.job = job.id;
      work.deployment = NAMES.find(name => DEPLOYMENTS[name].dedup_id === job.data.dedup_id);
      await workers[of].processJob(job, token, () => false);
    });
  }

  /** The jobs that were taken by a worker, be it alive or not. */
  async function taken() {
    const ids = await Promise.all(KINDS.map(of => redis.lrange(queues[of].toKey('active'), 0, -1)));
    return KINDS.flatMap((of, index) =>
      (ids[index] ?? []).map(id => ({
        ...{ of, id },
        holder: live.find(work => work.of === of && work.job === id && !work.stalled),
      })),
    );
  }

  /** What happens once the lock of a job has run out. */
  async function stall({ of, id, holder }: Awaited<ReturnType<typeof taken>>[number]): Promise<void> {
    if (holder) {
      holder.stalled = true;
      broke(holder);
    }
    await redis.del(`${queues[of].toKey(id)}:lock`);
    // Found without a lock twice, it is stalled.
    for (let check = 0; check < 2; check++) {
      await redis.del(queues[of].toKey('stalled-check'));
      await workers[of]['moveStalledJobsToWait']();
    }
  }

  async function endCooldown(name: Deployment): Promise<void> {
    const { dedup_id } = DEPLOYMENTS[name];
    if ((await claims.holder(dedup_id))?.state === 'dead') await redis.del(keys.claim(dedup_id));
  }

  async function act([action, which]: Step): Promise<void> {
    TRACE.push(`${action} ${which}`);
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
        if (work) do await go(work);
        while (!work.ended && !work.asleep);
        return;
      case 'kill':
        if (!work) return;
        broke(work);
        work.killed = true;
        live = live.filter(each => each !== work);
        return;
      case 'refuse':
        if (work) await refuse(work);
        return;
      case 'stall': {
        const job = nth(await taken());
        if (job) await stall(job);
        return;
      }
      case 'retry':
        await nth(await entries.getFailed())?.retry();
        return;
      case 'remove': {
        const entry = nth(await entries.getFailed());
        const fate = fates.find(({ id }) => id === entry?.data.dispatch_id);
        if (fate) fate.removed = true;
        await entry?.remove();
        return;
      }
      case 'cooldown':
        return endCooldown(nth(NAMES) ?? 'A');
      case 'github':
        answer = nth(ANSWERS) ?? 404;
        return;
      case 'later':
        return pass(MINUTES_MS);
      default:
        return action satisfies never;
    }
  }

  /** Nothing breaks any more, and all workers run, until there is nothing left that could be done now. */
  async function comeToRest(): Promise<string[]> {
    for (let round = 0; round < 200; round++) {
      for (const job of await taken()) if (!job.holder) await stall(job);
      let idle = live.length === 0;
      for (const of of KINDS) {
        const { wait = 0, active = 0, delayed = 0 } = await queues[of].getJobCounts('wait', 'active', 'delayed');
        // While GitHub is away, what waits for its next try has come to rest.
        const due = wait + (answer === 503 ? 0 : delayed);
        if (due > 0) await startAttempt(of);
        if (delayed > 0 && answer !== 503) pass(MINUTES_MS);
        if (due + active > 0) idle = false;
      }
      if (idle) return [];
      for (let turns = 0; turns < 8; turns++) {
        const awake = live.filter(({ asleep }) => !asleep);
        if (awake.length === 0) pass(SECOND_MS);
        for (const work of awake.length > 0 ? awake : live) await go(work);
      }
    }
    const left = (await taken()).map(({ of, id }) => `${of} ${id}`);
    return [`It does not come to rest: ${left.join(', ') || `${live.length} under way`}`];
  }

  /** While nothing is under way: a claim without expiry has its job, and a job its claim. */
  async function checkClaims(): Promise<string[]> {
    const pending = await queue.getJobs(['wait', 'delayed', 'active', 'prioritized']);
    const wrong: string[] = [];
    for (const name of NAMES) {
      const { dedup_id } = DEPLOYMENTS[name];
      const holder = await claims.holder(dedup_id);
      const jobs = pending.filter(({ data }) => data.dedup_id === dedup_id);
      if (holder?.state === 'pending' && !jobs.some(({ id }) => id === holder.id)) {
        wrong.push(`The claim of ${name} is held for ever by ${holder.id}, which has no job`);
      }
      for (const { id, data, timestamp } of jobs) {
        const fate = fates.find(each => each.id === id);
        // Told again since, its claim is another's; dead or pointless, it has none any more, and only has to end.
        const toldAgain = admitted[name] > (fate?.run ?? 0);
        const over = (fate?.diedAt ?? 0) > timestamp || (await claims.isSuperseded(data));
        if (holder?.id !== id && !toldAgain && !over) {
          wrong.push(`${id} is pending without its claim, which ${holder?.id ?? 'nobody'} has`);
        } else if (holder?.id === id && holder.state === 'dead' && !over) {
          wrong.push(`${id} is pending, and its claim will run out`);
        }
      }
    }
    return wrong;
  }

  /** Everything that was accepted has come to an end that is accounted for, and nothing is told twice. */
  async function checkFates(): Promise<string[]> {
    const wrong: string[] = [];
    const parked = await entries.getFailed();
    const ids = parked.map(({ data }) => data.dedup_id);
    if (new Set(ids).size < ids.length) wrong.push(`There are two entries of one deployment: ${ids}`);

    const kept = (fate: Fate) =>
      fate.taken > 0 || fate.superseded || fate.removed || parked.some(({ data }) => data.dispatch_id === fate.id);
    for (const [index, fate] of fates.entries()) {
      const { id, diedAt } = fate;
      // By when it was queued, or by when ingest began with it: two may overtake each other in between.
      const newer = fates.filter(
        (each, place) =>
          each.deployment === fate.deployment && (place > index || each.acceptedAt > fate.acceptedAt),
      );
      if (parked.some(({ data }) => data.dispatch_id === id) && [fate, ...newer].some(({ takenAt }) => takenAt > diedAt)) {
        wrong.push(`${id} has an entry, although it or a newer one was delivered since`);
      }
      // Once it has died, one that is newer may stand for it.
      const replaced = diedAt > 0 && newer.some(kept);
      if (!kept(fate) && !replaced) wrong.push(`${id} is lost`);
    }
    for (const name of NAMES) {
      const perRun = new Map<number, number>();
      for (const { deployment, run, taken } of fates) {
        if (deployment === name) perRun.set(run, (perRun.get(run) ?? 0) + taken);
      }
      const repeats = [...perRun.values()].reduce((sum, taken) => sum + Math.max(0, taken - 1), 0);
      if (repeats > faults[name]) wrong.push(`${name}: ${repeats} repeats for ${faults[name]} faults`);
    }
    return wrong;
  }

  async function play(schedule: readonly Step[], cooldown: number, end: Answer): Promise<string[]> {
    TRACE.length = 0;
    await clear();
    config.DEAD_LETTER_COOLDOWN = cooldown;
    for (const step of schedule) await act(step);

    TRACE.push('-- rest 503');
    answer = 503;
    wrong.push(...(await comeToRest()), ...(await checkClaims()));
    TRACE.push('-- rest end');
    answer = end;
    wrong.push(...(await comeToRest()), ...(await checkClaims()), ...(await checkFates()));
    TRACE.push('-- retry all');
    answer = 204;
    for (const entry of await entries.getFailed()) await entry.retry();
    wrong.push(...(await comeToRest()), ...(await checkClaims()), ...(await checkFates()));
    const left = await entries.getJobCountByTypes();
    if (left > 0) wrong.push(`${left} entries are left after Retry`);
    return wrong;
  }

  const opened = stack.move();
  return { outcomes, play, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** A worker that takes a job when it is told to, and never by itself. */
async function atRest(worker: Worker): Promise<Worker> {
  await worker.pause(true);
  // Its timer would send commands in between.
  await worker['lockManager'].close();
  return worker;
}

let stage: Stage;

beforeAll(async () => {
  // The clock of the processes. That of Redis goes on, and nothing there lives as short as a play.
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  stage = await openStage(inject('redisUrl'));
});
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  vi.useRealTimers();
});

test('hunt', { timeout: 3_600_000 }, async () => {
  const pattern = new RegExp(process.env['PAT'] ?? '.');
  const input: any[] = [schedules, fc.constantFrom(0, DAY_MS), fc.constantFrom(404 as const, 204 as const)];
  const verdict: any = process.env['CASE'] ? { failed: true, counterexample: JSON.parse(process.env['CASE']) } : await fc.check((fc as any).asyncProperty(...input, async (schedule: any, cooldown: any, end: any) => {
    const wrong = await stage.play(schedule, cooldown, end);
    if (wrong.some(w => pattern.test(w))) throw new Error(wrong.join('\n'));
  }), { numRuns: Number(process.env['N'] ?? 1000), seed: Number(process.env['S'] ?? 1), maxSkipsPerRun: 0 });
  console.log('failed', verdict.failed, verdict.numRuns, verdict.seed);
  if (!verdict.failed) return;
  const wrong = await (stage.play as any)(...verdict.counterexample);
  console.log(JSON.stringify(verdict.counterexample) + '\n' + TRACE.join('\n') + '\n' + wrong.join('\n'));
});
