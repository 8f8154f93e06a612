import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { runSchedule } from './run-schedule.ts';
import { type Answer, schedules, steps } from './schedule.ts';
import { START } from './state.ts';
import { DAY_MS, openWorld, type World } from './world.ts';

let world: World;

beforeAll(async () => {
  // The clock of the processes. That of Redis goes on, where nothing expires as soon as a run ends.
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  world = await openWorld(inject('redisUrl'));
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  vi.useRealTimers();
});

const USUAL_RUNS = 60;
// The same ones every time, so that a commit breaks by what it changes. Others are found with INTERLEAVINGS=5000.
const USUAL_SEED = 20_260_305;

function settings(): fc.Parameters<unknown> {
  const asked = inject('interleavings');
  return asked === '' ? { numRuns: USUAL_RUNS, seed: USUAL_SEED } : { numRuns: Number(asked) };
}

test('whatever breaks and whenever, nothing is lost, left over or dispatched twice', {
  timeout: 3_600_000,
}, async () => {
  const cooldown = fc.constantFrom(0, DAY_MS);
  const end = fc.constantFrom<Answer>(404, 204);
  await fc.assert(
    fc.asyncProperty(schedules(), cooldown, end, async (...run) => {
      expect(await runSchedule(world, ...run)).toEqual([]);
    }),
    settings(),
  );
  // Otherwise the schedules have become too tame to show anything.
  expect([...world.outcomes].toSorted()).toEqual([
    'dead',
    'delivered',
    'delivered_before',
    'redriven',
    'replaced_by_newer',
    'retry',
    'superseded',
  ]);
});

test('each outage that GitHub has heard of has one recovery, after its failures, and no other has any', {
  timeout: 3_600_000,
}, async () => {
  // GitHub has most of what is sent. What is sent meanwhile, and when that is settled, makes the difference.
  const busy = schedules({ event: 14, deadLetter: 2, github: 1, retry: 1, cooldown: 1, expire: 1, later: 0 });
  const cooldown = fc.constantFrom(0, DAY_MS);
  await fc.assert(
    fc.asyncProperty(busy, cooldown, async (schedule, cooldownMs) => {
      expect(await runSchedule(world, schedule, cooldownMs, 204, 204)).toEqual([]);
    }),
    settings(),
  );
});

// What has gone wrong before.
describe('found', () => {
  const deployed = 'event, all, dispatch';

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
      'a claim passes on to a newer dispatch while another process looks at it',
      ones =>
        `${deployed}, kill, stall, dispatch, ${ones}github 1, event 1, all 1, event, all 1, dispatch, all 1, dispatch, all 1, all`,
    ],
  ])('%s', async (_, schedule) => {
    // Wherever in its commands the process is overtaken.
    const texts = new Set(Array.from({ length: 8 }, (_, n) => schedule('one, '.repeat(n))));
    for (const text of texts) {
      for (const cooldown of [0, DAY_MS]) {
        expect(await runSchedule(world, steps(text), cooldown, 404), text).toEqual([]);
      }
    }
  });
});

// Whatever a failure is about to do when its object recovers: the recovery waits for it, and is sent if GitHub has the failure.
describe('an object recovers while its failure is sent', () => {
  const failing = 'event 2, all, dispatch';
  const recovering = 'event 3, all 1';

  test.each<[string, (ones: string) => string]>([
    [
      'and GitHub answers after that',
      ones => `${failing}, ${ones}${recovering}, dispatch, all 1, all, dispatch, all`,
    ],
    [
      'by a worker that is killed',
      ones => `${failing}, ${ones}${recovering}, kill, dispatch, all, dispatch, all`,
    ],
    [
      'by a worker that is killed after that',
      ones => `${failing}, ${recovering}, ${ones}kill, dispatch, all, dispatch, all`,
    ],
    [
      'by a worker that is slow, and another takes it up',
      ones => `${failing}, ${ones}${recovering}, stall, dispatch, all 1, dispatch, all 1, all`,
    ],
    [
      'and fails again before GitHub answers',
      ones =>
        `${failing}, ${ones}${recovering}, event, all 1, event, event 2, all 1, all 1, dispatch, all 1, dispatch, all 1, all`,
    ],
    [
      'and the recovery from the next outage comes first',
      ones =>
        `${failing}, all, event 3, ${ones}event, all 1, event 4, all 1, dispatch, all 1, dispatch, all 1, event, all 1, event 3, all 1, dispatch, all 1, all`,
    ],
  ])('%s', async (_, schedule) => {
    const texts = new Set(Array.from({ length: 10 }, (_, n) => schedule('one, '.repeat(n))));
    for (const text of texts) {
      for (const answer of [404, 204] as const) {
        for (const end of [404, 204] as const) {
          expect(await runSchedule(world, steps(text), DAY_MS, end, answer), text).toEqual([]);
        }
      }
    }
  });
});
