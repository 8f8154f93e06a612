import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { type EventOptions, fluxEvent } from '@flux-dispatch/testbed/flux';
import { describe, expect, test } from 'vitest';
import { type AlertMetadata, readAlert } from './alert.ts';
import { type DeploymentKey, identify } from './identity.ts';

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

describe('what distinguishes one deployment of an object from the next', () => {
  const failure = 'Helm upgrade failed for release app: timed out';
  test.each<[string, boolean, EventOptions, EventOptions]>([
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
      "with a chart version, also the message: an upgrade of the values alone shows in the release's number",
      false,
      { metadata: { revision: '1.4.2' }, message: 'Helm upgrade succeeded for release app.v5 with chart' },
      { metadata: { revision: '1.4.2' }, message: 'Helm upgrade succeeded for release app.v6 with chart' },
    ],
    [
      'with a chart version, no more of the message than its first line',
      true,
      { metadata: { revision: '1.4.2' }, message: `${failure}\n\nLast Helm logs:\n12:00 waiting` },
      { metadata: { revision: '1.4.2' }, message: `${failure}\n\nLast Helm logs:\n12:05 waiting` },
    ],
    [
      'with a chart version, that version',
      false,
      { metadata: { revision: '1.4.2' }, message: failure },
      { metadata: { revision: '1.4.3' }, message: failure },
    ],
    [
      'without revision, the first line of the message',
      true,
      { message: 'cross-namespace references have been blocked\nat 12:00' },
      { message: 'cross-namespace references have been blocked\nat 12:05' },
    ],
    ['without revision, another message', false, { message: 'a' }, { message: 'b' }],
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
