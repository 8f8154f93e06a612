import fc from 'fast-check';

/**
 * What happens next, and to which of those that it may happen to: the nth, counted round and round.
 *
 * Whatever a process is about to do, be it a command to Redis or a call to GitHub, waits until the schedule says that it
 * may. So a schedule is an interleaving, the same one every time, and what breaks may do so between any two commands.
 */
export type Step = readonly [action: Action, which: number];
type Action = keyof typeof ACTIONS;

/** What may happen, and how often it comes up. */
const ACTIONS = {
  /** Flux sends one of EVENTS. */
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
  /** The claims of what was delivered expire: from now on streams alone remember it. */
  expire: 2,
  /** GitHub gives one of ANSWERS from now on. */
  github: 3,
  /** Some minutes pass. */
  later: 1,
};

export const ANSWERS = [404, 204, 503] as const;
export type Answer = (typeof ANSWERS)[number];

/** Schedules in which some actions come up more or less often than usual. */
export function schedules(weights: Partial<Record<Action, number>> = {}): fc.Arbitrary<readonly Step[]> {
  const arbitraries = Object.entries({ ...ACTIONS, ...weights }).map(([action, weight]) => ({
    weight,
    arbitrary: fc.tuple(fc.constant(action as Action), fc.nat({ max: 5 })),
  }));
  return fc.array(fc.oneof(...arbitraries), { minLength: 20, maxLength: 80, size: 'max' });
}

/** A schedule in words, where a step without a number is the first of those that there are. */
export function steps(text: string): Step[] {
  return text.split(', ').map(step => {
    const [action, which = '0'] = step.split(' ');
    return [action as Action, Number(which)];
  });
}
