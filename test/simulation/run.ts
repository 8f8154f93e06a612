import type { ControllableRedis } from '@flux-dispatch/testbed/test-redis';
import { compareDeliveries, type Difference, receipts } from './deliveries.ts';
import { createModel, type Outcome } from './model.ts';
import type { History, Mood, Post } from './steps.ts';
import { LIMITS, startWorld } from './world.ts';

export interface Report {
  readonly differences: readonly Difference[];
  readonly posts: number;
  readonly dispatches: number;
}

/** Runs a history against the real processes and holds what they do against the model. */
export async function runHistory(redis: ControllableRedis, { settings, steps }: History): Promise<Report> {
  await using world = await startWorld(redis, settings);
  const receivedAt = receipts(world.github.dispatches);
  const model = createModel({ ...LIMITS, maxStreams: settings.DEDUP_MAX_ENTRIES }, receivedAt);
  const differences: Difference[] = [];
  let posts = 0;

  async function post(step: Post): Promise<void> {
    const sentAt = Date.now();
    const { answer, certain } = await world.post(step);
    const answeredAt = Date.now();
    posts++;
    const { outcome, dispatch_id, dispatches } = answer.body;
    const repos = (step.event.metadata['dispatch_repo'] ?? '').split(',').map(repo => repo.trim());
    for (const repo of repos) {
      const own = dispatches?.find(each => each.repo === repo) ?? { outcome, dispatch_id };
      const arrival = { event: step.event, repo, sentAt, answeredAt };
      const given = own.outcome as Outcome;
      const possible = model.expect(arrival);
      // Of several tries, the one that was taken may have had no answer. Then the last answer names a new dispatch.
      const isRepeat = given === 'duplicate' || given === 'rate_limited';
      const counted = !certain && isRepeat && !model.knows(own.dispatch_id) ? 'enqueued' : given;
      model.apply(arrival, counted, own.dispatch_id);
      if (possible.includes(counted)) continue;
      const { reason, timestamp, message, metadata } = step.event;
      const about = `${reason} ${metadata['revision'] ?? ''} at ${timestamp} through ${metadata['dispatch_event']} → ${repo} (${message.slice(0, 80)})`;
      differences.push({
        object: step.object,
        what: `${about}: answered ${given}, expected ${possible.join(' or ')}`,
      });
    }
  }

  let isGitHubUp = true;
  let restart = Promise.resolve();
  const stop = async (app: 'ingest' | 'dispatcher', signal: NodeJS.Signals) => {
    await world.stop(app, signal);
    if (app === 'dispatcher' && signal === 'SIGKILL') model.dispatcherKilled();
  };
  const settle = async () => {
    // Nothing settles without GitHub.
    if (!isGitHubUp) return;
    await world.settle();
    model.settle();
  };
  const setGitHub = async (mood: Mood) => {
    isGitHubUp = mood === 'well' || mood === 'slow';
    const isIdle = await world.isIdle();
    world.setGitHub(mood);
    model.github(isGitHubUp, isIdle);
  };

  for (const part of inParts(steps)) {
    if (Array.isArray(part)) {
      const byObject = Map.groupBy(part, step => step.object);
      await Promise.all(
        [...byObject.values()].map(async own => {
          for (const step of own) await post(step);
        }),
      );
      continue;
    }
    await restart;
    if (part.kind === 'pass') {
      // What waits for seconds does not wait for hours.
      await settle();
      await world.pass(part.ms);
      model.pass(part.ms);
    } else if (part.kind === 'settle') {
      await settle();
    } else if (part.kind === 'github') {
      await setGitHub(part.mood);
    } else if (part.kind === 'redis') {
      restart = world.restartRedis().then(() => model.redisKilled());
    } else {
      restart = stop(part.app, part.signal);
    }
  }

  // A history that was shortened may end in the middle of something.
  await restart;
  await setGitHub('well');
  await settle();

  differences.push(...compareDeliveries(model.dispatches, world.github.dispatches, receivedAt));
  return { differences, posts, dispatches: model.dispatches.length };
}

/** Posts that follow each other stand together. */
function inParts(steps: History['steps']): (Post[] | Exclude<History['steps'][number], Post>)[] {
  const parts: ReturnType<typeof inParts> = [];
  for (const step of steps) {
    const last = parts.at(-1);
    if (step.kind !== 'post') parts.push(step);
    else if (Array.isArray(last)) last.push(step);
    else parts.push([step]);
  }
  return parts;
}
