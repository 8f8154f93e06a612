import { type Arrival, helmRelease, kustomization } from './lives.ts';
import { createRandom, type Random } from './random.ts';
import type { History, Step } from './steps.ts';

export interface HistoryOptions {
  readonly seed: number;
  readonly objects: number;
  /** At most 3: events are never older than what is remembered. */
  readonly weeks: number;
  /** Seconds since the epoch: the histories end a day before. */
  readonly now: number;
}

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;
const WEEK = 7 * DAY;

/** Makes the lives of objects over some weeks, and what goes wrong around them. */
export function createHistory({ seed, objects, weeks, now }: HistoryOptions): History {
  const random = createRandom(seed);
  const start = now - DAY - weeks * WEEK;
  const lives = Array.from({ length: objects }, (_, index) => {
    const life = { start, length: weeks * WEEK };
    // In two clusters, each of which has its own life.
    if (random.chance(10)) {
      const name = `twin-${index}`;
      return ['north', 'south'].flatMap(cluster => kustomization(random, { ...life, name, cluster }));
    }
    const own = { ...life, name: `app-${index}` };
    return random.chance(60) ? kustomization(random, own) : helmRelease(random, own);
  });
  const posts = lives.flat().sort((a, b) => a.arrival - b.arrival);
  // A delay is measured by the clock of the dispatcher that looks, so one of them has the right time.
  const skew = (): [number, number] => [0, random.pick([0, -60, 90, -600, -100, 3900])];
  return {
    seed,
    settings: {
      DEDUP_MAX_ENTRIES: random.pick([5, Math.ceil(objects / 2), 100_000]),
      ingestClocks: random.chance(50) ? skew() : [random.pick([-60, -600]), random.pick([90, 3900])],
      dispatcherClocks: skew(),
    },
    steps: withTroubles(random, posts),
  };
}

/** Lays time, restarts and the moods of GitHub between the posts. */
function withTroubles(random: Random, arrivals: readonly Arrival[]): Step[] {
  const steps: Step[] = [];
  let passed = arrivals[0]?.arrival ?? 0;
  let down = false;
  const failing = new Set<string>();
  arrivals.forEach(({ arrival, post }, index) => {
    if (arrival - passed > 30 * MINUTE) {
      steps.push({ kind: 'pass', ms: (arrival - passed) * 1000 });
      passed = arrival;
    }
    const isFailure = post.event.severity === 'error';
    const dice = random.int(1, 1000);
    // Mostly before the first failure of an outage, which then waits, and may have to be superseded.
    const opens = isFailure && !failing.has(post.object);
    if (isFailure) failing.add(post.object);
    else failing.delete(post.object);
    const falls = !down && dice <= (opens ? 100 : 3);
    if (falls) {
      const mood = random.pick([
        'slow',
        'away',
        'overloaded',
        'overloaded',
        'overloaded',
        'limiting',
        'proxied',
      ] as const);
      steps.push({ kind: 'settle' }, { kind: 'github', mood });
      down = true;
    }
    steps.push(post);
    // In real time much of what fails has been sent before anything else happens.
    if (isFailure && !down && random.chance(35)) steps.push({ kind: 'settle' });
    if (falls) return;
    if (down && dice <= 60) {
      steps.push({ kind: 'github', mood: 'well' });
      down = false;
    } else if (dice === 1000) {
      steps.push({ kind: 'redis' });
    } else if (dice > 997 && index > 0) {
      const app = random.pick(['ingest', 'dispatcher'] as const);
      steps.push({ kind: 'stop', app, signal: random.pick(['SIGKILL', 'SIGTERM'] as const) });
    } else if (dice > 994 && !down) {
      steps.push({ kind: 'settle' });
    }
  });
  return steps;
}
