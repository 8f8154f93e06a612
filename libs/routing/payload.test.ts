import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { type ClientPayload, clientPayloadSchema } from '@flux-dispatch/queue/dispatch';
import { type EventOptions, fluxEvent } from '@flux-dispatch/testbed/flux';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readAlert } from './alert.ts';
import { clientPayload } from './payload.ts';

const SHA1 = 'a63b3a440d34a42168e949f527554da1c3ecc932';
const OTHER_SHA1 = 'b'.repeat(40);
const SHA256 = 'a0313152b69bb3a75fca2346d15444b3115c21b8abe39baa20fb5f9d578cb6b0';

function eventOf(options: EventOptions): FluxEvent {
  const parsed = parseEvent(fluxEvent(options));
  if (!parsed.ok) throw new Error(parsed.fault);
  return parsed.event;
}
const payloadOfEvent = (event: FluxEvent) =>
  clientPayload(event, readAlert(event, { DEFAULT_DISPATCH_EVENT: 'flux-deploy' }), 'success');
const payloadOf = (options: EventOptions) => payloadOfEvent(eventOf(options));

/** As it is sent, with the id that it gets when it is enqueued. */
function sent(event: FluxEvent): ClientPayload {
  return { ...payloadOfEvent(event), dispatch_id: '018f3a5e-0000-4000-8000-000000000000' };
}
const bytes = (payload: ClientPayload) => Buffer.byteLength(JSON.stringify(payload));

test('a payload of a real event', () => {
  const metadata = {
    ...{ product: 'dialogporten', env: 'at23', cluster: 'north', commit_status: 'update', summary: 'prod' },
    ...{ dispatch_repo: 'Altinn/dialogporten', dispatch_event: 'flux-deploy', dispatch_on: 'any' },
    ...{ revision: `at23@sha256:${SHA256}`, originRevision: `main@sha1:${SHA1}` },
  };
  expect(payloadOf({ metadata, timestamp: new Date('2026-03-05T12:01:00Z') })).toEqual({
    product: 'dialogporten',
    environment: 'at23',
    commit_sha: SHA1,
    revision: `at23@sha256:${SHA256}`,
    kustomization_name: 'dialogporten-apps',
    reason: 'ReconciliationSucceeded',
    message: 'Reconciliation finished in 1.842s, next run in 10m0s',
    flux: {
      kind: 'Kustomization',
      namespace: 'product-dialogporten',
      name: 'dialogporten-apps',
      severity: 'info',
      timestamp: '2026-03-05T12:01:00Z',
      class: 'success',
      origin_revision: `main@sha1:${SHA1}`,
      cluster: 'north',
      controller: 'kustomize-controller',
      metadata: { commit_status: 'update', summary: 'prod' },
    },
  });
});

test('a recovery names the outage that has ended', () => {
  const event = eventOf({});
  const alert = readAlert(event, { DEFAULT_DISPATCH_EVENT: 'flux-recovered' });
  const outage = { id: 'outage-1', since: '2026-03-05T12:00:00Z', duration_seconds: 90 };
  expect(clientPayload(event, alert, 'recovery', outage).flux).toMatchObject({ class: 'recovery', outage });
});

test('an event with next to nothing in it has every field all the same', () => {
  const parsed = parseEvent(Buffer.from('{"involvedObject":{"kind":"K","name":"n"},"reason":"R"}'));
  if (!parsed.ok) throw new Error(parsed.fault);
  expect(clientPayloadSchema.parse(sent(parsed.event))).toMatchObject({
    ...{ product: '', environment: '', commit_sha: '', revision: '', kustomization_name: 'n', reason: 'R' },
    message: '',
  });
});

describe('commit_sha', () => {
  test.each([
    ['of an OCI artifact that says its origin', `at23@sha256:${SHA256}`, `main@sha1:${SHA1}`, SHA1],
    ['of an origin in the older form', `at23@sha256:${SHA256}`, `main/${SHA1}`, SHA1],
    ['of the origin rather than of the revision', `main@sha1:${OTHER_SHA1}`, `main@sha1:${SHA1}`, SHA1],
    ['of a Git source', `main@sha1:${SHA1}`, undefined, SHA1],
    ['of a Git source, where the origin is none', `main@sha1:${SHA1}`, '1.4.2', SHA1],
    ['of an OCI artifact without an origin', `at23@sha256:${SHA256}`, undefined, ''],
    ['of a chart', '1.4.2', undefined, ''],
    ['of nothing', undefined, undefined, ''],
  ])('%s', (_, revision, originRevision, expected) => {
    const metadata = {
      ...(revision === undefined ? {} : { revision }),
      ...(originRevision === undefined ? {} : { originRevision }),
    };
    expect(payloadOf({ metadata }).commit_sha).toBe(expected);
  });
});

describe('metadata that does not fit', () => {
  test('is left out, entry by entry, and the payload says so', () => {
    const metadata = { a: 'kept', big: 'x'.repeat(60_000), c: 'kept too' };
    expect(payloadOf({ metadata }).flux).toMatchObject({
      metadata: { a: 'kept', c: 'kept too' },
      truncated: true,
    });
  });

  test('is measured in bytes as they are sent, not in characters', () => {
    expect(payloadOf({ metadata: { big: 'å'.repeat(40_000) } }).flux.truncated).toBe(true);
    expect(payloadOf({ metadata: { big: '\u0001'.repeat(20_000) } }).flux.truncated).toBe(true);
  });

  test('is not cut as long as it does', () => {
    const { flux } = payloadOf({ metadata: { big: 'x'.repeat(58_000) } });
    expect(flux.metadata['big']).toHaveLength(58_000);
    expect(flux).not.toHaveProperty('truncated');
  });
});

describe('whatever the event', () => {
  // Text of any kind and any length: control characters, which JSON escapes sixfold, and halves of surrogate pairs.
  const unit = fc.oneof(
    fc.constantFrom('\u0000', '\ud83d', '\ude80', '"', '<'),
    fc.string({ unit: 'binary', maxLength: 3 }),
  );
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.tuple(unit, fc.nat(70_000)).map(([part, times]) => part.repeat(times)),
  );
  const metadataKey = fc.oneof(
    fc.constantFrom('product', 'env', 'cluster', 'revision', 'originRevision', '__proto__', 'constructor'),
    fc.string(),
  );
  const metadata = fc
    .array(fc.tuple(metadataKey, text), { maxLength: 20 })
    .map(entries => Object.fromEntries(entries));
  const event: fc.Arbitrary<FluxEvent> = fc.record({
    involvedObject: fc.record({ kind: text, name: text, namespace: text, uid: text }),
    reason: text,
    severity: text,
    timestamp: text,
    message: text,
    reportingController: text,
    metadata,
  });
  const OF_THEIR_OWN = ['product', 'env', 'cluster', 'revision', 'originRevision'];

  test('GitHub takes the payload: at most 60 kB, 10 keys, and every field of its type', () => {
    fc.assert(
      fc.property(event, event => {
        const payload = sent(event);
        expect(bytes(payload)).toBeLessThanOrEqual(60_000);
        expect(Object.keys(payload).length).toBeLessThanOrEqual(10);
        expect(clientPayloadSchema.safeParse(payload).error).toBeUndefined();
      }),
    );
  });

  test('also where every text is long, and every character of it is escaped', () => {
    const text = '\u0001'.repeat(70_000);
    const event: FluxEvent = {
      involvedObject: { kind: text, name: text, namespace: text, uid: text },
      ...{ reason: text, severity: text, timestamp: text, message: text, reportingController: text },
      metadata: Object.fromEntries([...OF_THEIR_OWN, 'more'].map(key => [key, text])),
    };
    expect(bytes(sent(event))).toBeLessThanOrEqual(60_000);
    expect(payloadOfEvent(event).flux).toMatchObject({ metadata: {}, truncated: true });
  });

  test('truncated is set exactly where metadata was left out', () => {
    fc.assert(
      fc.property(event, event => {
        const { flux } = payloadOfEvent(event);
        const all = Object.keys(event.metadata).filter(key => !OF_THEIR_OWN.includes(key));
        expect(flux.truncated === true).toBe(Object.keys(flux.metadata).length < all.length);
      }),
    );
  });

  test('the message is its beginning, 1024 characters at most, and well-formed where it was', () => {
    const wellFormed = fc
      .tuple(fc.constantFrom('', 'x'), fc.constantFrom('🚀', 'x', 'å🚀'), fc.nat(2000))
      .map(([start, part, times]) => start + part.repeat(times));
    fc.assert(
      fc.property(wellFormed, text => {
        const { message } = payloadOf({ message: text });
        expect(text.startsWith(message)).toBe(true);
        expect(message.isWellFormed()).toBe(true);
        expect([...message]).toHaveLength(Math.min([...text].length, 1024));
      }),
    );
  });
});
