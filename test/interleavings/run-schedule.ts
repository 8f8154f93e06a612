import { EVENTS, type Pending } from './model.ts';
import { ANSWERS, type Answer, type Step } from './schedule.ts';
import { QUEUES } from './stepped-redis.ts';
import { MINUTES_MS, SECOND_MS, type World } from './world.ts';

/**
 * Runs a schedule, lets everything come to rest without further faults, and returns what is not as it must be.
 * @param cooldown DEAD_LETTER_COOLDOWN, in milliseconds
 * @param end what GitHub answers in the end
 * @param begin what it answers until the schedule says otherwise
 */
export async function runSchedule(
  world: World,
  schedule: readonly Step[],
  cooldown: number,
  end: Answer,
  begin: Answer = 404,
): Promise<readonly string[]> {
  await world.reset(cooldown, begin);
  const { state, queues } = world;
  for (const step of schedule) await act(world, step);

  // First so that no dispatch ends, and what is pending then can be seen.
  state.answer = 503;
  await comeToRest(world);
  await look(world);
  state.answer = end;
  await comeToRest(world);
  await look(world);
  state.answer = 204;
  for (const entry of await queues.deadLetter.getFailed()) await entry.retry();
  await comeToRest(world);
  await look(world);
  const left = await queues.deadLetter.getJobCountByTypes();
  if (left > 0) state.wrong.push(`${left} entries are left after Retry`);

  // The object is well in the end, and the Alert of recoveries hears of it.
  for (let time = 0; time < 3; time++) await world.startEvent('R');
  await comeToRest(world);
  await look(world);
  state.wrong.push(...state.outages.wrong(outage => world.isGivenUp(outage)));
  return state.wrong;
}

async function act(world: World, [action, which]: Step): Promise<void> {
  const { state, queues } = world;
  const { model } = state;
  const nth = <T>(all: readonly T[]): T | undefined => all[which % Math.max(all.length, 1)];
  const work = nth(state.live);
  switch (action) {
    case 'event':
      return world.startEvent(nth(EVENTS) ?? 'A');
    case 'dispatch':
    case 'deadLetter':
      return world.startAttempt(action);
    case 'one':
      if (work) await world.go(work);
      return;
    case 'all':
      while (work && !work.ended) {
        await world.go(work);
        if (work.asleep) return;
      }
      return;
    case 'kill':
      if (!work) return;
      model.broke(work);
      work.killed = true;
      state.live = state.live.filter(each => each !== work);
      return;
    case 'refuse':
      if (!work || work.asleep) return;
      model.broke(work);
      work.requests.shift()?.refuse();
      return world.goesOn(work);
    case 'lose': {
      // A command of ingest is not sent again, and so this is the same as a kill after it.
      const request = work?.of === 'event' || work?.asleep ? undefined : work?.requests[0];
      if (!work || !request || (await request.lose()) === 'sent again') return;
      model.broke(work);
      work.requests.shift();
      return world.goesOn(work);
    }
    case 'stall': {
      const job = nth(await world.activeJobs());
      if (job) await world.stall(job);
      return;
    }
    case 'retry':
      await nth(await queues.deadLetter.getFailed())?.retry();
      return;
    case 'remove': {
      const entry = nth(await queues.deadLetter.getFailed());
      const record = model.find(entry?.data.dispatch_id);
      if (record) record.removed = true;
      await entry?.remove();
      return;
    }
    case 'cooldown': {
      const ids = nth([...model.known.values()]);
      return ids && world.endClaim(ids, 'dead');
    }
    case 'expire':
      // No event is under way for an hour.
      if (state.live.some(({ of }) => of === 'event')) return;
      model.expired();
      for (const ids of model.known.values()) await world.endClaim(ids, 'delivered');
      return;
    case 'github':
      state.answer = nth(ANSWERS) ?? 404;
      return;
    case 'later':
      return world.pass(MINUTES_MS);
    default:
      return action satisfies never;
  }
}

/** Nothing breaks any more, and all workers run, until nothing is left that could be done. */
async function comeToRest(world: World): Promise<void> {
  const { state, queues } = world;
  const tryAgain = state.answer !== 503;
  for (let round = 0; round < 100; round++) {
    for (const job of await world.activeJobs()) if (!job.work) await world.stall(job);
    let idle = state.live.length === 0;
    for (const of of QUEUES) {
      const counts = await queues[of].getJobCounts('wait', 'prioritized', 'active', 'delayed');
      const { wait = 0, prioritized = 0, active = 0, delayed = 0 } = counts;
      if (delayed > 0 && tryAgain) world.pass(MINUTES_MS);
      const due = wait + prioritized + (tryAgain ? delayed : 0);
      if (due > 0) await world.startAttempt(of);
      idle &&= due + active === 0;
    }
    if (idle) return;
    for (let turns = 0; turns < 8; turns++) {
      const awake = state.live.filter(({ asleep }) => !asleep);
      if (awake.length === 0) world.pass(SECOND_MS);
      for (const work of awake.length > 0 ? awake : state.live) await world.go(work);
    }
  }
  state.wrong.push('It does not come to rest');
}

/** Compares Redis with the model. */
async function look({ state, queues, claims, remembers, isSuperseded }: World): Promise<void> {
  const { model, wrong } = state;
  const jobs = await queues.dispatch.getJobs(['wait', 'prioritized', 'delayed', 'active']);
  for (const [name, ids] of model.known) {
    const { dedup_id } = ids;
    const pending = jobs
      .filter(({ data }) => data.dedup_id === dedup_id)
      .map(async ({ id, timestamp, data }): Promise<Pending> => {
        const delivered = await claims.isDelivered(id ?? '', dedup_id);
        return { id, timestamp, superseded: await isSuperseded(data), delivered };
      });
    const held = { holder: await claims.holder({ dedup_id }), remembered: await remembers(ids) };
    wrong.push(...model.wrongClaim(name, held, await Promise.all(pending)));
  }
  if (state.answer === 503) return;
  wrong.push(...model.wrongDispatches((await queues.deadLetter.getFailed()).map(({ data }) => data)));
}
