import { claimKeys } from '@flux-dispatch/queue/keys';
import { postSigned } from '@flux-dispatch/testbed/flux';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { loadStory } from '../support/recorded-events.ts';
import { type StorySystem, startStorySystem } from '../support/story-system.ts';

let stories: StorySystem;
let github: StorySystem['github'];
let system: StorySystem['system'];
let queues: StorySystem['queues'];

beforeAll(async () => {
  stories = await startStorySystem(inject('redisUrl'), 2);
  ({ github, system, queues } = stories);
});
afterAll(() => stories[Symbol.asyncDispose]());

// The stories are about the same objects, and each has a memory of its own.
beforeEach(async () => {
  const { streamPrefix, streams, healthy, objects, delivered, claim } = claimKeys(system.prefix);
  const kept = await Promise.all([queues.redis.keys(`${claim('')}*`), queues.redis.keys(`${streamPrefix}*`)]);
  await queues.redis.del([...kept.flat(), streams, healthy, objects, delivered]);
});

const KUSTOMIZATION = 'dialogporten-apps';
const HELM_RELEASE = 'app-helm';

/** Sends stories that were recorded one after another, and returns what GitHub received of them, in its order. */
async function replay(names: readonly string[]): Promise<string[]> {
  const before = github.dispatches.length;
  let accepted = 0;
  let delayed = 0;
  for (const [index, { body, signature }] of names.flatMap(name => loadStory(name).requests).entries()) {
    const { eventsUrl } = system.ingests[index % 2] ?? { eventsUrl: '' };
    const answer = await postSigned(eventsUrl, Buffer.from(body), signature);
    expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
    if (answer.body.outcome !== 'enqueued') continue;
    // It waits for DEPENDENCY_GRACE, as long as the story may last.
    if (JSON.parse(body).reason === 'DependencyNotReady') delayed++;
    else accepted++;
    await until('it is at GitHub', () => github.dispatches.length === before + accepted);
  }
  const waiting = await queues.dispatches.getDelayed();
  expect(waiting).toHaveLength(delayed);
  for (const job of waiting) {
    // As if it had waited long enough.
    await queues.redis.hincrby(queues.dispatches.toKey(job.id ?? ''), 'timestamp', -job.delay);
    await job.promote();
  }
  await until('nothing waits', async () => {
    const counts = await queues.dispatches.getJobCounts('wait', 'prioritized', 'active', 'delayed');
    return Object.values(counts).every(count => count === 0);
  });
  return github.dispatches.slice(before).map(({ event_type, client_payload }) => {
    const { kustomization_name, reason } = client_payload;
    return `${event_type} ${kustomization_name} ${reason}`;
  });
}

const deployed = (name: string, reason = 'ReconciliationSucceeded') => `flux-deploy ${name} ${reason}`;
const failed = (name: string, reason: string) => `flux-deploy-failed ${name} ${reason}`;

test.each<[what: string, stories: string[], dispatches: string[]]>([
  [
    'a first deploy, five intervals, a new commit, and the first one again',
    ['01-first-deploy', '02-five-intervals', '03-new-commit', '05-ref-back-to-first'],
    [deployed(KUSTOMIZATION), deployed(KUSTOMIZATION), deployed(KUSTOMIZATION)],
  ],
  [
    'two outages of the same artifact with a recovery each, and a Helm release beside them',
    ['07-health-check-failed', '08-recovery', '09-second-outage-same-artifact', '10-recovery-2'],
    [
      failed(KUSTOMIZATION, 'HealthCheckFailed'),
      deployed(HELM_RELEASE, 'InstallSucceeded'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      // It was rolled back to another revision.
      deployed(KUSTOMIZATION),
      // Each outage is dispatched once, and each recovery re-arms it. What stayed deployed is none of its own.
      failed(KUSTOMIZATION, 'HealthCheckFailed'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      failed(HELM_RELEASE, 'RollbackSucceeded'),
    ],
  ],
  ['a build that fails at every retry', ['12-build-failed'], [failed(KUSTOMIZATION, 'BuildFailed')]],
  ['an apply that fails', ['15-apply-failed'], [failed(KUSTOMIZATION, 'ReconciliationFailed')]],
  [
    'a deploy with dependencies, through Alerts with severity info: no failure',
    ['31-depends-on-not-ready'],
    [deployed(KUSTOMIZATION)],
  ],
  [
    'suspended and resumed with a new commit',
    ['33-suspend-resume'],
    [deployed(KUSTOMIZATION), deployed(KUSTOMIZATION)],
  ],
  [
    'pruned, deleted and created again with the same revision, deleted while it fails, and created again',
    ['34-prune-one-object', '36-recreate-same-revision', '37-delete-while-failing'],
    [
      deployed(KUSTOMIZATION),
      deployed(KUSTOMIZATION),
      failed(KUSTOMIZATION, 'HealthCheckFailed'),
      deployed(KUSTOMIZATION),
    ],
  ],
  [
    'a Helm release: install, new values, a failing upgrade, its recovery, and a rollback through an info Alert',
    [
      '41-helm-install',
      '43-helm-upgrade-values',
      '44-helm-upgrade-fails',
      '46-helm-recovery',
      '48-helm-rollback-through-info-alert',
    ],
    [
      deployed(HELM_RELEASE, 'InstallSucceeded'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      failed(HELM_RELEASE, 'RollbackSucceeded'),
    ],
  ],
  ['drift of a Helm release', ['50-helm-drift-correction'], []],
  [
    'Helm values that are missing, and the release uninstalled',
    ['52-helm-values-error', '53-helm-uninstall'],
    [failed(HELM_RELEASE, 'ValuesError')],
  ],
  [
    'a Helm release installed again, which fails twice without an event in between, and whose values are missing',
    [
      '54-helm-reinstall',
      '55-helm-fail-then-back-to-the-deployed-values',
      '56-helm-fails-again-after-that',
      '57-helm-values-error-twice',
    ],
    [
      deployed(HELM_RELEASE, 'InstallSucceeded'),
      failed(HELM_RELEASE, 'UpgradeFailed'),
      deployed(HELM_RELEASE, 'UpgradeSucceeded'),
      failed(HELM_RELEASE, 'ValuesError'),
    ],
  ],
  [
    'an OCI artifact from A to B, back to A, on to C, and one that cannot be built',
    ['61-oci'],
    [...Array.from({ length: 4 }, () => deployed('oci-apps')), failed('oci-apps', 'BuildFailed')],
  ],
  [
    'all of Flux restarted, and one controller of it',
    ['131-whole-flux-restarted', '132-kustomize-controller-restarted'],
    [deployed(KUSTOMIZATION), deployed(HELM_RELEASE, 'UpgradeSucceeded')],
  ],
])('%s', async (_, stories, dispatches) => {
  expect(await replay(stories)).toEqual(dispatches);
});

test('a controller that is killed again and again: each deployment once, through each of two Alerts', async () => {
  const deployments = new Set(
    loadStory('83-random-kills-kc')
      .requests.map(({ body }) => JSON.parse(body))
      .filter(({ reason }) => reason === 'ReconciliationSucceeded')
      .map(({ metadata }) => `${metadata.env} ${metadata.revision}`),
  );
  expect(await replay(['83-random-kills-kc'])).toEqual([...deployments].map(() => deployed(KUSTOMIZATION)));
});

test('all kinds of objects through one Alert, and some through another: sources are none of its concern', async () => {
  const sent = await replay(['66-all-kinds']);
  expect(sent.toSorted()).toEqual([
    deployed(HELM_RELEASE, 'UpgradeSucceeded'),
    deployed(HELM_RELEASE, 'UpgradeSucceeded'),
    deployed(KUSTOMIZATION),
    deployed(KUSTOMIZATION),
    // Two commits.
    deployed('infra'),
    deployed('infra'),
  ]);
});
