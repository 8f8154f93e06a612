import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { type EventOptions, fluxEvent } from '@flux-dispatch/testbed/flux';
import { describe, expect, test } from 'vitest';
import { type DeploymentKey, identify } from './identity.ts';

const A = `sha256:${'a'.repeat(64)}`;
const B = `sha256:${'b'.repeat(64)}`;
const COMMIT = 'a63b3a440d34a42168e949f527554da1c3ecc932';

function eventOf(options: EventOptions): FluxEvent {
  const parsed = parseEvent(fluxEvent(options));
  if (!parsed.ok) throw new Error(parsed.fault);
  return parsed.event;
}

const KEY: DeploymentKey = {
  event: eventOf({ metadata: { revision: `at23@${A}` } }),
  product: 'dialogporten',
  environment: 'at23',
  cluster: 'north',
  reasonClass: 'success',
  repo: 'Altinn/dialogporten',
  eventType: 'flux-deploy',
};

const dedupId = (key: DeploymentKey) => identify(key).dedup_id;

const sameAs = (event: EventOptions, other: EventOptions) =>
  dedupId({ ...KEY, event: eventOf(event) }) === dedupId({ ...KEY, event: eventOf(other) });

test('is a SHA-256, the same over processes and releases', () => {
  expect(dedupId(KEY)).toMatch(/^[0-9a-f]{64}$/);
  expect(dedupId(structuredClone(KEY))).toBe(dedupId(KEY));
});

describe('every part of the key tells two dispatches apart', () => {
  const metadata = { revision: `at23@${A}` };
  test.each<[string, Partial<DeploymentKey>]>([
    ['product', { product: 'arbeidsflate' }],
    ['environment', { environment: 'tt02' }],
    ['cluster', { cluster: 'south' }],
    ['class', { reasonClass: 'failure' }],
    ['repository', { repo: 'Altinn/dialogporten-frontend' }],
    ['event type', { eventType: 'flux-deployed' }],
    ['kind', { event: eventOf({ kind: 'HelmRelease', metadata }) }],
    ['namespace', { event: eventOf({ namespace: 'other', metadata }) }],
    ['name', { event: eventOf({ name: 'other', metadata }) }],
    ['reason', { event: eventOf({ reason: 'InstallSucceeded', metadata }) }],
    ['digest', { event: eventOf({ metadata: { revision: `at23@${B}` } }) }],
    // As text they would run together.
    ['the border between two parts', { product: 'dialogportenat', environment: '23' }],
  ])('%s', (_, difference) => {
    expect(dedupId({ ...KEY, ...difference })).not.toBe(dedupId(KEY));
  });
});

test("GitHub's names ignore case, event types do not", () => {
  expect(dedupId({ ...KEY, repo: 'ALTINN/DialogPorten' })).toBe(dedupId(KEY));
  expect(dedupId({ ...KEY, eventType: 'Flux-Deploy' })).not.toBe(dedupId(KEY));
});

describe('identity: what tells one deployment of an object from the next', () => {
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
      "with a chart version, also the message: an upgrade of the values alone is told by the release's number",
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
  const parts: [string, Partial<DeploymentKey>, stream: boolean, object: boolean][] = [
    ['another artifact', { event: eventOf({ metadata: { revision: `at23@${B}` } }) }, true, true],
    ['another reason', { event: eventOf({ reason: 'InstallSucceeded' }) }, true, true],
    ['another class', { reasonClass: 'failure' }, false, true],
    ['another event type', { eventType: 'flux-deploy-failed' }, false, true],
    ['the repository in another case', { repo: 'altinn/DIALOGPORTEN' }, true, true],
    ['another repository', { repo: 'Altinn/other' }, false, false],
    ['another object', { event: eventOf({ name: 'other' }) }, false, false],
    ['another environment', { environment: 'tt02' }, false, false],
    ['another cluster', { cluster: 'south' }, false, false],
  ];
  test.each(parts)('with %s', (_, difference, stream, object) => {
    const other = identify({ ...KEY, ...difference });
    expect(other.stream_id === identify(KEY).stream_id).toBe(stream);
    expect(other.object_id === identify(KEY).object_id).toBe(object);
  });
});
