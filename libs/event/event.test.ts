import { describe, expect, test } from 'vitest';
import { loadFixtures } from '../../test/support/recorded-events.ts';
import { firstLine, parseEvent } from './event.ts';

const MINIMAL = {
  involvedObject: { kind: 'Kustomization', name: 'apps' },
  reason: 'ReconciliationSucceeded',
};

const parse = (body: unknown) =>
  parseEvent(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));

function metadataOf(metadata: unknown) {
  const parsed = parse({ ...MINIMAL, metadata });
  return parsed.ok ? parsed.event.metadata : parsed.fault;
}

test('an event of the real client', () => {
  const [first] = loadFixtures('flux-events').events;
  expect(parseEvent(first?.body ?? Buffer.of())).toEqual({
    ok: true,
    event: {
      involvedObject: {
        kind: 'Kustomization',
        name: 'dialogporten-apps',
        namespace: 'product-dialogporten',
        uid: '7d0cdc51-ddcf-4743-b223-83ca5c699632',
      },
      reason: 'ReconciliationSucceeded',
      severity: 'info',
      timestamp: '2026-03-05T12:01:00Z',
      message: 'Reconciliation finished in 1.842s, next run in 10m0s',
      reportingController: 'kustomize-controller',
      metadata: {
        commit_status: 'update',
        dispatch_event: 'flux-deploy',
        dispatch_repo: 'Altinn/dialogporten',
        env: 'at23',
        originRevision: 'main@sha1:a63b3a440d34a42168e949f527554da1c3ecc932',
        product: 'dialogporten',
        revision: 'at23@sha256:a0313152b69bb3a75fca2346d15444b3115c21b8abe39baa20fb5f9d578cb6b0',
      },
    },
  });
});

describe('metadata keys lose the API group', () => {
  test.each([
    ['bare, as notification-controller sends them', { revision: 'a' }, { revision: 'a' }],
    ["a controller's", { 'kustomize.toolkit.fluxcd.io/revision': 'a' }, { revision: 'a' }],
    ['of an annotation', { 'event.toolkit.fluxcd.io/dispatch_repo': 'a/b' }, { dispatch_repo: 'a/b' }],
    ['both, bare first', { revision: 'bare', 'helm.toolkit.fluxcd.io/revision': 'x' }, { revision: 'bare' }],
    ['both, bare last', { 'helm.toolkit.fluxcd.io/revision': 'x', revision: 'bare' }, { revision: 'bare' }],
    ['both, the bare one empty', { revision: '', 'helm.toolkit.fluxcd.io/revision': 'x' }, { revision: '' }],
    ['of another API', { 'example.com/revision': 'a' }, { 'example.com/revision': 'a' }],
    ['nothing behind the group', { 'helm.toolkit.fluxcd.io/': 'a' }, { 'helm.toolkit.fluxcd.io/': 'a' }],
    ['none', {}, {}],
    ['null, as Go writes a nil map', null, {}],
    ['absent', undefined, {}],
  ])('%s', (_, metadata, expected) => {
    expect(metadataOf(metadata)).toEqual(expected);
  });

  test('a __proto__ key is a key like any other, and no prototype', () => {
    const parsed = parse(
      `{"involvedObject":{"kind":"K","name":"n"},"reason":"R",
        "metadata":{"__proto__":"bare","event.toolkit.fluxcd.io/__proto__":"prefixed","env":"at23"}}`,
    );
    if (!parsed.ok) throw new Error(parsed.fault);
    expect(Object.getPrototypeOf(parsed.event.metadata)).toBe(Object.prototype);
    expect(parsed.event.metadata['env']).toBe('at23');
  });
});

test('half of a surrogate pair becomes U+FFFD, in keys as well', () => {
  const text = JSON.stringify({ ...MINIMAL, message: 'a MARK b', metadata: { 'k MARK': 'MARK \u{1f600}' } });
  const parsed = parse(text.replaceAll('MARK', '\\ud83d'));
  expect(parsed).toMatchObject({
    event: { message: 'a \ufffd b', metadata: { 'k \ufffd': '\ufffd \u{1f600}' } },
  });
});

test('metadata has at most 256 keys', () => {
  const keys = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, '']));
  expect(parse({ ...MINIMAL, metadata: keys(256) }).ok).toBe(true);
  expect(parse({ ...MINIMAL, metadata: keys(257) })).toEqual({
    ok: false,
    fault: 'metadata has 257 keys, and at most 256 are allowed',
  });
});

describe('what may be missing, and what may be new', () => {
  const bare = {
    ...MINIMAL,
    involvedObject: { ...MINIMAL.involvedObject, namespace: '', uid: '' },
    ...{ severity: '', timestamp: '', message: '', reportingController: '', metadata: {} },
  };
  test.each([
    ['all that is optional is absent', MINIMAL],
    [
      'all that is optional is null',
      { ...MINIMAL, severity: null, timestamp: null, message: null, metadata: null },
    ],
    ['a field of a later Flux release', { ...MINIMAL, traceId: 'x', related: [{ kind: 'Pod' }] }],
    [
      'a field of the object',
      { ...MINIMAL, involvedObject: { ...MINIMAL.involvedObject, fieldPath: 'spec' } },
    ],
  ])('%s', (_, body) => {
    expect(parse(body)).toEqual({ ok: true, event: bare });
  });
});

describe('what is no event, and the fault that the sender reads', () => {
  test.each([
    ['nothing', '', 'not JSON'],
    ['not JSON', '{"involvedObject":', 'not JSON'],
    ['not an object', '[]', 'not a Flux Event: body'],
    ['null', 'null', 'not a Flux Event: body'],
    ['no involvedObject', { reason: 'R' }, 'involvedObject'],
    ['no kind', { ...MINIMAL, involvedObject: { name: 'apps' } }, 'involvedObject.kind'],
    ['an empty name', { ...MINIMAL, involvedObject: { kind: 'K', name: '' } }, 'involvedObject.name'],
    ['no reason', { ...MINIMAL, reason: undefined }, 'reason'],
    ['an empty reason', { ...MINIMAL, reason: '' }, 'reason'],
    ['a message that is not text', { ...MINIMAL, message: {} }, 'message'],
    ['metadata that is not text', { ...MINIMAL, metadata: { replicas: 3 } }, 'metadata.replicas'],
    ['metadata that is a list', { ...MINIMAL, metadata: ['a'] }, 'metadata'],
    ['deeply nested', '['.repeat(1_000_000), 'not JSON'],
    ['line breaks to be repeated', '{\n"reason"\n:\nx}', 'not JSON'],
  ])('%s', (_, body, where) => {
    const parsed = parse(body);
    if (parsed.ok) throw new Error('it was taken for an event');
    expect(parsed.fault).toContain(where);
    expect(parsed.fault).not.toMatch(/[\r\n]/);
    expect(parsed.fault.length).toBeLessThan(400);
  });
});

test.each([
  ['one line', 'one line'],
  ['first\nsecond\nthird', 'first'],
  ['first\r\nsecond', 'first'],
  ['\n  \n first\nsecond', 'first'],
  ['', ''],
])('the first line of %j is %j', (message, first) => {
  expect(firstLine(message)).toBe(first);
});
