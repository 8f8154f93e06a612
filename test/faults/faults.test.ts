import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';
import { type Cluster, type Settlement, startCluster } from './cluster.ts';

// The default. However bad its end, a dispatcher has no more than this many calls to GitHub under way.
const DISPATCH_CONCURRENCY = 16;

/** GitHub's part of a dispatch, as opposed to looking installations up and getting tokens. */
const DISPATCHES = { method: 'POST', path: '/repos/' };

/** Half of GitHub's time for a dispatch passes before it is recorded, half after: a kill may come in either. */
const SLOW_GITHUB: readonly FaultRule[] = [
  { match: DISPATCHES, action: { latencyMs: 30 } },
  { match: DISPATCHES, action: { latencyMs: 30, afterHandling: true } },
];

/** When GitHub may receive a deployment twice, always with the same dispatch id. */
type Twice =
  /** At no time. */
  | 'never'
  /** Where its answer was lost: at most once for each lost answer. */
  | 'for a lost answer'
  /** Where the fault came between its answer and the acknowledgement: at most DISPATCH_CONCURRENCY times a fault. */
  | 'for a fault in between';

/** Injects a fault while Flux deploys and reports, waits until all is over, and checks the figures. */
function fault(
  name: string,
  options: { readonly twice: Twice; readonly env?: Readonly<Record<string, string>> },
  run: (cluster: Cluster) => Promise<void>,
): void {
  test(name, async ({ task }) => {
    await using cluster = await startCluster(inject('path'), options.env ?? {});
    await run(cluster);
    const settlement = await cluster.settle();
    task.meta.figures = settlement.figures;

    expect(settlement.figures).toMatchObject({
      accepted: cluster.flux.deployments,
      dispatched: cluster.flux.deployments,
      lost: 0,
      dead: 0,
    });
    expect(settlement.deadLetters.map(({ error }) => error.message)).toEqual([]);
    // That Flux has repeated itself all the while.
    expect(settlement.figures.events).toBeGreaterThan(cluster.flux.deployments);
    expect(settlement.renamed, 'deployments with another dispatch id').toEqual([]);
    expect(settlement.orphanedClaims, 'claims without a job').toEqual([]);
    expectTwice(options.twice, settlement, cluster);
  });
}

function expectTwice(twice: Twice, settlement: Settlement, { github }: Cluster): void {
  const { figures, repeats, repeatsByInjection } = settlement;
  if (twice === 'never') expect(figures.twice).toBe(0);
  if (twice === 'for a lost answer') {
    const lost = github.faults().filter(({ action }) => 'afterHandling' in action && action.afterHandling);
    expect(repeats).toBeLessThanOrEqual(lost.reduce((sum, { applied }) => sum + applied, 0));
  }
  if (twice === 'for a fault in between') {
    expect(Math.max(...repeatsByInjection)).toBeLessThanOrEqual(DISPATCH_CONCURRENCY);
    expect(repeatsByInjection.reduce((sum, count) => sum + count)).toBe(repeats);
  }
}

/** Has GitHub fail like this, and checks in the end that it has. */
async function withGitHubFailing(cluster: Cluster, rules: readonly FaultRule[], deployments: number) {
  cluster.github.setFaults(rules);
  await cluster.flux.deploy(deployments);
  const usedUp = () => cluster.github.faults().every(({ applied, times }) => applied === times);
  await until('every fault has been injected', usedUp, 60_000);
}

fault('GitHub 500s', { twice: 'never' }, cluster =>
  withGitHubFailing(
    cluster,
    [
      // Also while it is asked for the installation and the token.
      { action: { status: 500 }, times: 50 },
      { match: DISPATCHES, action: { status: 502, body: '<h1>Bad gateway</h1>' }, times: 150 },
      { match: DISPATCHES, action: { status: 503 }, times: 150 },
      { match: DISPATCHES, action: { status: 504 }, times: 50 },
    ],
    250,
  ),
);

fault('connections dropped before GitHub has read', { twice: 'never' }, cluster =>
  withGitHubFailing(
    cluster,
    [
      { action: { drop: true }, times: 20 },
      { match: DISPATCHES, action: { drop: true }, times: 230 },
    ],
    200,
  ),
);

fault('connections dropped once GitHub has recorded', { twice: 'for a lost answer' }, cluster =>
  withGitHubFailing(
    cluster,
    [{ match: DISPATCHES, action: { drop: true, afterHandling: true }, times: 100 }],
    200,
  ),
);

const IMPATIENT = { DISPATCH_TIMEOUT: '1s' };

fault('timeouts before GitHub has recorded', { twice: 'never', env: IMPATIENT }, cluster =>
  withGitHubFailing(cluster, [{ match: DISPATCHES, action: { latencyMs: 5000 }, times: 100 }], 200),
);

fault('timeouts once GitHub has recorded', { twice: 'for a lost answer', env: IMPATIENT }, cluster =>
  withGitHubFailing(
    cluster,
    [{ match: DISPATCHES, action: { latencyMs: 5000, afterHandling: true }, times: 100 }],
    200,
  ),
);

fault('429 with Retry-After', { twice: 'never' }, cluster =>
  withGitHubFailing(
    cluster,
    [{ match: DISPATCHES, action: { status: 429, headers: { 'retry-after': '1' } }, times: 100 }],
    200,
  ),
);

fault('secondary limit (403)', { twice: 'never' }, async ({ flux, github }) => {
  // A tenth of GitHub's own, in a second instead of a minute.
  github.setSecondaryLimit({ enabled: true, points: 90, windowMs: 1000, retryAfterSeconds: 1 });
  await flux.deploy(200);
  await until('GitHub has refused some', () => refusals(github, 403) > 0);
});

fault('tokens revoked ×5', { twice: 'never' }, async ({ flux, github, dispatches }) => {
  for (let revocation = 0; revocation < 5; revocation++) {
    const some = dispatches(5);
    const before = flux.deploy(30);
    await some;
    const refused = refusals(github, 401);
    github.revokeTokens();
    const after = flux.deploy(10);
    await until('GitHub has refused a token', () => refusals(github, 401) > refused);
    await Promise.all([before, after]);
  }
});

fault('App key rotated ×2', { twice: 'never' }, async ({ flux, github, credentials, dispatches }) => {
  for (let rotation = 0; rotation < 2; rotation++) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    const some = dispatches(20);
    const before = flux.deploy(100);
    await some;
    const refused = refusals(github, 401);
    // First GitHub forgets the old one, and what it has signed for, and only then is the new one there.
    github.setKeys([publicKey]);
    github.revokeTokens();
    const after = flux.deploy(50);
    await until('GitHub has refused the old key', () => refusals(github, 401) > refused);
    const recovered = dispatches(1);
    await writeFile(credentials.privateKeyPath, privateKey);
    await Promise.all([before, after, recovered]);
  }
});

fault('dispatcher kill -9 ×20', { twice: 'for a fault in between' }, async cluster => {
  const { flux, github, dispatches, replace } = cluster;
  github.setFaults(SLOW_GITHUB);
  for (let kill = 0; kill < 20; kill++) {
    // Each time at another point of what is under way.
    const some = dispatches(1 + (kill % 20));
    const deploying = flux.deploy(24);
    await some;
    await replace('SIGKILL', 'dispatcher');
    await deploying;
  }
});

fault('ingest kill -9 ×20', { twice: 'never' }, async ({ flux, ledger, replace }) => {
  for (let kill = 0; kill < 20; kill++) {
    const some = ledger.acceptances(1 + (kill % 10));
    const deploying = flux.deploy(20);
    await some;
    await replace('SIGKILL', 'ingest');
    await deploying;
  }
  // Flux cannot know of these whether they were taken.
  expect(ledger.unanswered).toBeGreaterThan(20);
});

fault('SIGTERM ×20 of both', { twice: 'never' }, async ({ flux, github, dispatches, replace }) => {
  github.setFaults(SLOW_GITHUB);
  for (let stop = 0; stop < 20; stop++) {
    const some = dispatches(5);
    const before = flux.deploy(12);
    await some;
    const meanwhile = flux.deploy(8);
    expect(await replace('SIGTERM', 'dispatcher', 'ingest')).toEqual([0, 0]);
    await Promise.all([before, meanwhile]);
  }
});

fault('Redis kill -9 ×5', { twice: 'for a fault in between' }, async cluster => {
  const { flux, github, redis, ledger, dispatches } = cluster;
  github.setFaults(SLOW_GITHUB);
  for (let kill = 0; kill < 5; kill++) {
    const some = dispatches(10);
    const deploying = flux.deploy(60);
    await some;
    await redis.kill();
    await redis.start();
    await deploying;
    ledger.injected();
  }
});

// With noeviction it is Redis itself that says no, and its scripts must not stop halfway.
fault('Redis out of memory ×5', { twice: 'for a fault in between' }, cluster =>
  withRedisRefusing(cluster, 'maxmemory', '1', '0'),
);

fault('Redis without its replicas ×5', { twice: 'for a fault in between' }, cluster =>
  withRedisRefusing(cluster, 'min-replicas-to-write', '1', '0'),
);

/** Has Redis refuse writes by this setting, five times, until Flux has had answers of 503, and then take them again. */
async function withRedisRefusing(cluster: Cluster, setting: string, refusing: string, taking: string) {
  const { flux, github, redis, ledger, dispatches } = cluster;
  github.setFaults(SLOW_GITHUB);
  for (let refusal = 0; refusal < 5; refusal++) {
    const some = dispatches(10);
    const before = flux.deploy(40);
    await some;
    await redis.configure(setting, refusing);
    const enough = ledger.refused + 20;
    const meanwhile = flux.deploy(20);
    await until('events are refused', () => ledger.refused >= enough);
    await redis.configure(setting, taking);
    await Promise.all([before, meanwhile]);
    ledger.injected();
  }
}

/** How many dispatches, or requests on the way to them, GitHub has answered with this status. */
function refusals({ requests }: Cluster['github'], status: number): number {
  return [...requests].reduce(
    (sum, [request, count]) => sum + (request.endsWith(` ${status}`) ? count : 0),
    0,
  );
}
