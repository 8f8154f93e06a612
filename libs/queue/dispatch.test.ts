import { describe, expect, test } from 'vitest';
import { type Dispatch, dispatchName, parseDispatch } from './dispatch.ts';
import { dispatchJob } from './dispatch-queue.ts';

const DISPATCH: Dispatch = {
  version: 1,
  dedup_id: '0123456789abcdef'.repeat(4),
  repo: 'Altinn/dialogporten',
  event_type: 'flux-deploy',
  class: 'success',
  object_id: 'fedcba9876543210'.repeat(4),
  event_time: 1_772_712_060,
  accepted_at: 1_772_712_060_000,
  claim: { delivered_ttl_ms: 86_400_000, max_delivered: 10_000 },
  payload: {
    product: 'dialogporten',
    environment: 'at23',
    commit_sha: 'a63b3a440d34a42168e949f527554da1c3ecc932',
    revision: 'at23@sha256:a0313152b69bb3a75fca2346d15444b3115c21b8abe39baa20fb5f9d578cb6b0',
    kustomization_name: 'dialogporten-apps',
    reason: 'ReconciliationSucceeded',
    message: 'Reconciliation finished in 953ms, next run in 10m0s',
    dispatch_id: '018f3a5e-0000-4000-8000-000000000000',
    flux: {
      kind: 'Kustomization',
      namespace: 'product-dialogporten',
      name: 'dialogporten-apps',
      severity: 'info',
      timestamp: '2026-03-05T12:01:00Z',
      origin_revision: 'main@sha1:a63b3a440d34a42168e949f527554da1c3ecc932',
      cluster: '',
      controller: 'kustomize-controller',
      metadata: { commit_status: 'update' },
    },
  },
};

/** What arrives at the other process. */
const queued = (data: unknown) => JSON.parse(JSON.stringify(data));

describe('a dispatch', () => {
  test('comes off the queue as it was put there', () => {
    expect(parseDispatch(queued(DISPATCH))).toEqual({ ok: true, dispatch: DISPATCH });
  });

  test('with truncated metadata too', () => {
    const { payload } = DISPATCH;
    const truncated = { ...DISPATCH, payload: { ...payload, flux: { ...payload.flux, truncated: true } } };
    expect(parseDispatch(queued(truncated))).toEqual({ ok: true, dispatch: truncated });
  });

  test('of a failure or a recovery too', () => {
    const { payload } = DISPATCH;
    const outage = { id: 'outage-1', since: '2026-03-05T12:00:00Z', duration_seconds: 90 };
    const flux = { ...payload.flux, class: 'recovery', outage };
    for (const other of [
      { class: 'failure', outage_memory: { ttl_ms: 1000, max_entries: 10, keep_ms: 0 } },
      { version: 2, class: 'recovery', outage_confirmed: false, payload: { ...payload, flux } },
    ]) {
      const dispatch = { ...DISPATCH, ...other };
      expect(parseDispatch(queued(dispatch))).toEqual({ ok: true, dispatch });
    }
  });

  test('of a newer ingest keeps the fields that this version does not know: GitHub is to get them', () => {
    const { claim, payload } = DISPATCH;
    const newer = {
      ...DISPATCH,
      traceparent: '00-…',
      claim: { ...claim, kept_by: 'x' },
      payload: { ...payload, flux: { ...payload.flux, uid: 'x' } },
    };
    expect(parseDispatch(queued(newer))).toEqual({ ok: true, dispatch: newer });
  });
});

describe('what is no dispatch, and the fault that says why', () => {
  const { dedup_id: _, ...unclaimed } = DISPATCH;
  test.each([
    ['nothing', null, 'job: '],
    ['text', 'x', 'job: '],
    ['an unknown version', { ...DISPATCH, version: 2 }, 'version: '],
    ['no version', { ...DISPATCH, version: undefined }, 'version: '],
    ['no dedup id', unclaimed, 'dedup_id: '],
    ['a dedup id that is no SHA-256', { ...DISPATCH, dedup_id: 'x' }, 'dedup_id: '],
    ['an unknown class', { ...DISPATCH, class: 'maybe' }, 'class: '],
    ['no time', { ...DISPATCH, accepted_at: 'now' }, 'accepted_at: '],
    ['no payload', { ...DISPATCH, payload: undefined }, 'payload: '],
    [
      'no dispatch id',
      { ...DISPATCH, payload: { ...DISPATCH.payload, dispatch_id: '' } },
      'payload.dispatch_id: ',
    ],
  ])('%s', (_, data, fault) => {
    expect(parseDispatch(data)).toEqual({ ok: false, fault: expect.stringContaining(fault) });
  });

  test('a fault stays short, however much is wrong', () => {
    const parsed = parseDispatch({});
    expect(!parsed.ok && parsed.fault.length).toBeLessThan(500);
  });
});

test('a dispatch is recognised by repository, event type, environment and reason', () => {
  expect(dispatchName(DISPATCH)).toBe('Altinn/dialogporten flux-deploy at23 ReconciliationSucceeded');
  const { payload } = DISPATCH;
  expect(dispatchName({ ...DISPATCH, payload: { ...payload, environment: '' } })).toBe(
    'Altinn/dialogporten flux-deploy ReconciliationSucceeded',
  );
});

test("the job has the dispatch's id, and its claim has no expiry while it is pending", () => {
  const job = dispatchJob(DISPATCH, { priority: 3 });
  expect(job).toMatchObject({
    data: DISPATCH,
    opts: { jobId: DISPATCH.payload.dispatch_id, priority: 3, deduplication: { id: DISPATCH.dedup_id } },
  });
  expect(job.opts.deduplication).not.toHaveProperty('ttl');
});
