import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, type IngestAnswer, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { type Ingest, type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';
import { openQueues } from '../support/queues.ts';
import { UNHURRIED } from '../support/unhurried.ts';

/** The nth deployment of a product. */
function deployment(n: number | string): Buffer {
  return fluxEvent({
    name: `app-${n}`,
    metadata: {
      dispatch_repo: 'Altinn/dialogporten',
      env: 'at23',
      revision: ociRevision('at23', `artifact ${n}`),
    },
  });
}

test('200 identical events at two replicas at once are one dispatch', async () => {
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials },
    ...{ ingests: 2, dispatchers: 2, env: UNHURRIED },
  });
  const event = deployment('same');
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, n) =>
      postEvent(system.ingests[n % 2]?.eventsUrl ?? '', event, credentials.token),
    ),
  );
  const outcomes = answers.map(({ body }) => body.outcome);
  expect(outcomes.filter(outcome => outcome === 'enqueued')).toHaveLength(1);
  expect(outcomes.filter(outcome => outcome === 'duplicate')).toHaveLength(199);
  // Also the repeats say which dispatch they repeat.
  expect(new Set(answers.map(({ body }) => body.dispatch_id)).size).toBe(1);

  await drained(system, inject('redisUrl'));
  expect(stub.dispatches).toHaveLength(1);
});

const ROUNDS = 6;
const EVENTS_A_ROUND = 40;

// A kill alone hardly ever falls between two commands to Redis. With Redis standing still they all stand still somewhere:
// before the claim, between it and the enqueue if there were such a thing, after both and before the answer.
test('kill -9 of ingest at any instruction loses no event and dispatches none twice', async () => {
  await using redis = await acquireRedis({ path: inject('path'), controllable: true });
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    ...{ redisUrl: redis.url, githubUrl: stub.url, credentials },
    env: UNHURRIED,
  });
  const accepted = new Set<number>();
  let killed = 0;

  for (let round = 0; round < ROUNDS; round++) {
    const ingest = system.ingests.at(-1) as Ingest;
    const events = Array.from({ length: EVENTS_A_ROUND }, (_, n) => round * EVENTS_A_ROUND + n);
    let answered = 0;
    const stopsLate = round % 2 === 1;
    if (!stopsLate) await redis.control.pause();
    const sending = events.map(n =>
      postEvent(ingest.eventsUrl, deployment(n), credentials.token).then(
        ({ status }) => {
          answered++;
          if (status === 202) accepted.add(n);
        },
        // The connection died with ingest: Flux does not know either whether the event was taken.
        () => undefined,
      ),
    );
    // Each round stops Redis at another point: every other one after some answers, the rest before the first.
    if (stopsLate) {
      await until('some are answered', () => answered >= round * 3);
      await redis.control.pause();
    } else {
      // By the time that it has answered these, it has begun on what came before them.
      for (let look = 0; look < 5; look++) await fetch(`${ingest.opsUrl}/healthz`);
    }
    ingest.process.signal('SIGKILL');
    await ingest.process.exited;
    killed += EVENTS_A_ROUND - answered;
    await Promise.all(sending);
    await redis.control.resume();
    const next = await system.startIngest();

    // Flux sends again what it has no answer for; at the next interval it sends everything again.
    for (const n of events) {
      const answer = await sendAsFlux(next.eventsUrl, deployment(n), credentials.token);
      if (answer.status === 202) accepted.add(n);
    }
  }
  expect(killed).toBeGreaterThan(0);

  await drained(system, redis.url);
  const received = stub.dispatches.map(({ client_payload }) => client_payload?.['kustomization_name']);
  const all = Array.from({ length: ROUNDS * EVENTS_A_ROUND }, (_, n) => `app-${n}`);
  expect([...received].sort()).toEqual([...all].sort());
  // Whatever was promised is among them, by the id that it was promised under.
  for (const n of accepted) expect(received).toContain(`app-${n}`);
});

/** Sends an event until it is answered with something other than 5xx, as notification-controller does. */
async function sendAsFlux(url: string, body: Buffer, token: string): Promise<IngestAnswer> {
  return until('ingest takes the event', async () => {
    const answer = await postEvent(url, body, token);
    return answer.status < 500 && answer;
  });
}

/** Waits until nothing is queued any more, and checks that then no claim without expiry is left: one without a job. */
async function drained(system: System, redisUrl: string): Promise<void> {
  using queues = openQueues(redisUrl, system.prefix);
  const { redis, dispatches } = queues;
  await until('the queue is empty', async () => {
    const counts = await dispatches.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed');
    return Object.values(counts).every(count => count === 0);
  });
  for (const claim of await redis.keys(`${system.prefix}:dispatch:de:*`)) {
    expect(await redis.pttl(claim), claim).toBeGreaterThan(0);
  }
}
