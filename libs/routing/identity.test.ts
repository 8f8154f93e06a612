import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { type EventOptions, fluxEvent } from '@flux-dispatch/testbed/flux';
import { describe, expect, test } from 'vitest';
import { type AlertMetadata, readAlert } from './alert.ts';
import { type DeploymentKey, identify, identifyRecovery, objectId } from './identity.ts';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const COMMIT = 'a63b3a440d34a42168e949f527554da1c3ecc932';

function eventOf(options: EventOptions): FluxEvent {
  const parsed = parseEvent(fluxEvent(options));
  if (!parsed.ok) throw new Error(parsed.fault);
  return parsed.event;
}

const METADATA = { product: 'dialogporten', env: 'at23', cluster: 'north' };

/** The key of an event of one product, environment and cluster. */
function keyOf({ metadata, ...options }: EventOptions): DeploymentKey {
  const event = eventOf({ ...options, metadata: { ...METADATA, ...metadata } });
  const alert = readAlert(event, { DEFAULT_DISPATCH_EVENT: 'flux-deploy' });
  return { event, alert, reasonClass: 'success', repo: 'Altinn/dialogporten' };
}

const KEY = keyOf({ metadata: { revision: `at23@${A}` } });

/** KEY, with another Alert. */
const alerted = (difference: Partial<AlertMetadata>): DeploymentKey => ({
  ...KEY,
  alert: { ...KEY.alert, ...difference },
});

const dedupId = (key: DeploymentKey) => identify(key).dedup_id;

const sameAs = (event: EventOptions, other: EventOptions) => dedupId(keyOf(event)) === dedupId(keyOf(other));

test('is a SHA-256, the same over processes and releases', () => {
  expect(dedupId(KEY)).toMatch(/^[0-9a-f]{64}$/);
  expect(dedupId(structuredClone(KEY))).toBe(dedupId(KEY));
});

describe('every part of the key distinguishes two dispatches', () => {
  const metadata = { revision: `at23@${A}` };
  test.each<[string, DeploymentKey]>([
    ['product', alerted({ product: 'arbeidsflate' })],
    ['environment', alerted({ env: 'tt02' })],
    ['cluster', alerted({ cluster: 'south' })],
    ['class', { ...KEY, reasonClass: 'failure' }],
    ['repository', { ...KEY, repo: 'Altinn/dialogporten-frontend' }],
    ['event type', alerted({ dispatch_event: 'flux-deployed' })],
    ['kind', keyOf({ kind: 'HelmRelease', metadata })],
    ['namespace', keyOf({ namespace: 'other', metadata })],
    ['name', keyOf({ name: 'other', metadata })],
    ['reason', keyOf({ reason: 'InstallSucceeded', metadata })],
    ['digest', keyOf({ metadata: { revision: `at23@${B}` } })],
    // As text they would run together.
    ['the border between two parts', alerted({ product: 'dialogportenat', env: '23' })],
  ])('%s', (_, other) => {
    expect(dedupId(other)).not.toBe(dedupId(KEY));
  });
});

test("GitHub's names ignore case, event types do not", () => {
  expect(dedupId({ ...KEY, repo: 'ALTINN/DialogPorten' })).toBe(dedupId(KEY));
  expect(dedupId(alerted({ dispatch_event: 'Flux-Deploy' }))).not.toBe(dedupId(KEY));
});

type Rows = [what: string, same: boolean, event: EventOptions, other: EventOptions][];

describe('what distinguishes one deployment of an object from the next', () => {
  const upgrade = 'Helm upgrade succeeded for release app.v5 with chart';
  test.each<Rows[number]>([
    [
      'with a digest, not the message, the time or the tag',
      true,
      { metadata: { revision: `at23@${A}` }, message: 'finished in 1s', timestamp: new Date(0) },
      { metadata: { revision: `v2@${A}` }, message: 'finished in 2s', timestamp: new Date(1000) },
    ],
    [
      'with a digest, not the commit that it was built from',
      true,
      { metadata: { revision: `at23@${A}`, originRevision: `main@sha1:${COMMIT}` } },
      { metadata: { revision: `at23@${A}` } },
    ],
    [
      'with a commit, neither of the forms that Flux has given it',
      true,
      { metadata: { revision: `main/${COMMIT}` } },
      { metadata: { revision: `main@sha1:${COMMIT}` } },
    ],
    [
      'whether the object was created again',
      false,
      { uid: 'one', metadata: { revision: `at23@${A}` } },
      { uid: 'two', metadata: { revision: `at23@${A}` } },
    ],
    [
      'with a chart version, whether the object was created again',
      false,
      { uid: 'one', metadata: { revision: '1.4.2' }, message: upgrade },
      { uid: 'two', metadata: { revision: '1.4.2' }, message: upgrade },
    ],
    [
      "with a chart version, also the message: an upgrade of the values alone shows in the release's number",
      false,
      { metadata: { revision: '1.4.2' }, message: 'Helm upgrade succeeded for release app.v5 with chart' },
      { metadata: { revision: '1.4.2' }, message: 'Helm upgrade succeeded for release app.v6 with chart' },
    ],
    [
      'without a digest, nothing of how long a reconciliation took',
      true,
      {
        ...{ message: 'Reconciliation finished in 1.842s, next run in 10m0s' },
        metadata: { revision: 'main/0123456789abcd' },
      },
      {
        ...{ message: 'Reconciliation finished in 953ms, next run in 10m0s' },
        metadata: { revision: 'main/0123456789abcd' },
      },
    ],
    [
      'with a chart version, no more of the message than its first line',
      true,
      { metadata: { revision: '1.4.2' }, message: `${upgrade}\n\nLast Helm logs:\n12:00 waiting` },
      { metadata: { revision: '1.4.2' }, message: `${upgrade}\n\nLast Helm logs:\n12:05 waiting` },
    ],
    [
      'with a chart version, that version',
      false,
      { metadata: { revision: '1.4.2' }, message: upgrade },
      { metadata: { revision: '1.4.3' }, message: upgrade },
    ],
    ['a revision that is empty is none', true, { metadata: { revision: '' } }, {}],
    [
      'a revision never counts as a message',
      false,
      { metadata: { revision: '1.4.2' }, message: '' },
      { message: '1.4.2' },
    ],
  ])('%s (same: %s)', (_, same, event, other) => {
    expect(sameAs(event, other)).toBe(same);
  });
});

describe('what distinguishes one failure of an object from the next: nothing that a controller composes', () => {
  const of = (options: EventOptions) =>
    dedupId({ ...keyOf({ reason: 'UpgradeFailed', severity: 'error', ...options }), reasonClass: 'failure' });
  const revision = '1.4.2';
  test.each<Rows[number]>([
    [
      'not the version of the release, which counts on at every retry',
      true,
      { metadata: { revision }, message: 'Helm rollback to previous release apps/a.v1 with chart succeeded' },
      { metadata: { revision }, message: 'Helm rollback to previous release apps/a.v3 with chart succeeded' },
    ],
    [
      'not the order of the resources that are not ready',
      true,
      { metadata: { revision: `at23@${A}` }, message: 'timeout waiting for: [Deployment/b, Deployment/a]' },
      { metadata: { revision: `at23@${A}` }, message: 'timeout waiting for: [Deployment/a, Deployment/b]' },
    ],
    [
      'without a revision, not the ephemeral port of a network error',
      true,
      { message: 'read udp 10.244.1.7:41234->10.96.0.10:53: i/o timeout' },
      { message: 'read udp 10.244.1.7:52345->10.96.0.10:53: i/o timeout' },
    ],
    ['not the uid', true, { uid: 'one', metadata: { revision } }, { uid: 'two', metadata: { revision } }],
    [
      'the reason',
      false,
      { metadata: { revision } },
      { reason: 'RollbackSucceeded', metadata: { revision } },
    ],
    ['the revision', false, { metadata: { revision } }, { metadata: { revision: '1.4.3' } }],
    ['whether there is a revision', false, { metadata: { revision } }, {}],
    [
      'the digest, in whichever form Flux gives it',
      true,
      { metadata: { revision: `main/${COMMIT}` } },
      { metadata: { revision: `main@sha1:${COMMIT}` } },
    ],
  ])('%s (same: %s)', (_, same, event, other) => {
    expect(of(event) === of(other)).toBe(same);
  });
});

describe('the stream and the object', () => {
  test.each<[string, DeploymentKey, stream: boolean, object: boolean]>([
    ['another artifact', keyOf({ metadata: { revision: `at23@${B}` } }), true, true],
    ['another reason', keyOf({ reason: 'InstallSucceeded' }), true, true],
    ['another class', { ...KEY, reasonClass: 'failure' }, false, true],
    ['another event type', alerted({ dispatch_event: 'flux-deploy-failed' }), false, true],
    ['the repository in another case', { ...KEY, repo: 'altinn/DIALOGPORTEN' }, true, true],
    ['another repository', { ...KEY, repo: 'Altinn/other' }, false, false],
    ['another object', keyOf({ name: 'other' }), false, false],
    ['another environment', alerted({ env: 'tt02' }), false, false],
    ['another cluster', alerted({ cluster: 'south' }), false, false],
  ])('with %s', (_, other, stream, object) => {
    expect(identify(other).stream_id === identify(KEY).stream_id).toBe(stream);
    expect(identify(other).object_id === identify(KEY).object_id).toBe(object);
  });
});

describe('a recovery', () => {
  const recovery = (key: DeploymentKey, outageId = 'outage-1') => identifyRecovery({ ...key, outageId });

  test('is the same for each success that says that the outage is over', () => {
    const upgraded = keyOf({
      kind: 'HelmRelease',
      reason: 'UpgradeSucceeded',
      metadata: { revision: '1.4.2' },
    });
    const tested = keyOf({ kind: 'HelmRelease', reason: 'TestSucceeded', metadata: { revision: '1.4.3' } });
    expect(recovery(tested)).toEqual(recovery(upgraded));
  });

  test('is another one for another outage, event type or repository', () => {
    const others = [
      recovery(KEY, 'outage-2'),
      recovery(alerted({ dispatch_event: 'other-recovered' })),
      recovery({ ...KEY, repo: 'Altinn/other' }),
    ];
    const ids = [recovery(KEY), ...others].map(({ dedup_id }) => dedup_id);
    expect(new Set(ids).size).toBe(4);
  });

  test('belongs to the object of its failures, and is in a stream of its own', () => {
    const failure = identify({ ...KEY, reasonClass: 'failure' });
    expect(recovery(KEY).object_id).toBe(failure.object_id);
    expect(objectId(KEY)).toBe(failure.object_id);
    expect(recovery(KEY).stream_id).not.toBe(failure.stream_id);
  });
});
