import { type FluxEvent, parseEvent } from '@flux-dispatch/event/event';
import { FAILURE_REASONS, INFO_FAILURE_REASONS, SUCCESS_REASONS } from '@flux-dispatch/event/reasons';
import { type EventOptions, fluxEvent, ociRevision } from '@flux-dispatch/testbed/flux';
import { describe, expect, test } from 'vitest';
import { loadFixtures } from '../../test/support/recorded-events.ts';
import { type DecideConfig, decide, type Sender } from './decide.ts';

const SENDER: Sender = { scope: 'all' };
const CONFIG: DecideConfig = {
  SUCCESS_REASONS,
  FAILURE_REASONS,
  ALLOWED_OWNERS: ['Altinn', 'Digdir'],
  DEFAULT_DISPATCH_EVENT: 'flux-deploy',
  RATE_LIMIT_INTERVAL: 3_600_000,
  DEPENDENCY_GRACE: 300_000,
};

function parsed(body: Buffer): FluxEvent {
  const result = parseEvent(body);
  if (!result.ok) throw new Error(result.fault);
  return result.event;
}

/** Decides on a good event with these differences. */
function decideOn({ metadata, ...options }: EventOptions, config: Partial<DecideConfig> = {}) {
  const good = { dispatch_repo: 'Altinn/dialogporten', revision: ociRevision('at23', 'a') };
  const event = parsed(fluxEvent({ ...options, metadata: { ...good, ...metadata } }));
  return decide(event, SENDER, { ...CONFIG, ...config });
}

/** What the answer calls a decision. */
const outcomeOf = (decision: ReturnType<typeof decide>) =>
  'outcome' in decision ? decision.outcome : decision.kind;

function candidatesOf(decision: ReturnType<typeof decide>) {
  if (decision.kind !== 'enqueue') throw new Error(`${outcomeOf(decision)}: ${decision.message}`);
  return decision.candidates;
}

describe('events of the real client', () => {
  const PASSED_ON = ['enqueued', 'duplicate', 'rate_limited'];

  test.each(loadFixtures('flux-events').events)('$file: $outcome', ({ body, outcome }) => {
    const result = parseEvent(body);
    const decided = result.ok ? outcomeOf(decide(result.event, SENDER, CONFIG)) : 'invalid_payload';
    expect(decided).toBe(PASSED_ON.includes(outcome) ? 'enqueue' : outcome);
  });

  test('an event repeats another exactly where both have the same dedup id', () => {
    const seen = new Set<string>();
    const events = loadFixtures('flux-events').events.filter(({ outcome }) => PASSED_ON.includes(outcome));
    const decided = events.map(({ file, body }) => {
      const [candidate] = candidatesOf(decide(parsed(body), SENDER, CONFIG));
      if (!candidate) throw new Error('no candidate');
      const outcome = seen.has(candidate.dedup_id) ? candidate.repeat : 'enqueued';
      seen.add(candidate.dedup_id);
      return [file, outcome];
    });
    expect(decided).toEqual(events.map(({ file, outcome }) => [file, outcome]));
  });

  test('a sequence with an outage and a rollback: the same id for the same deployment', () => {
    const { events } = loadFixtures('flux-streams');
    const ids = events.map(({ body }) => candidatesOf(decide(parsed(body), SENDER, CONFIG))[0]?.dedup_id);
    const [a, , outage, , , , b] = ids;
    expect(new Set([a, outage, b]).size).toBe(3);
    expect(ids).toEqual([a, a, outage, outage, a, outage, b, a, b, b]);
  });
});

test('a candidate has all that ingest and dispatcher need', () => {
  const repo = 'Altinn/dialogporten';
  const timestamp = new Date('2026-03-05T12:01:00Z');
  expect(decideOn({ timestamp, metadata: { product: 'dialogporten', env: 'at23' } })).toEqual({
    kind: 'enqueue',
    alert: expect.objectContaining({ dispatch_repo: repo, product: 'dialogporten', env: 'at23' }),
    candidates: [
      {
        dedup_id: expect.stringMatching(/^[0-9a-f]{64}$/),
        stream_id: expect.stringMatching(/^[0-9a-f]{64}$/),
        object_id: expect.stringMatching(/^[0-9a-f]{64}$/),
        repo,
        event_type: 'flux-deploy',
        class: 'success',
        event_time: 1_772_712_060,
        claim: { delivered_ttl_ms: 3_600_000 },
        payload: expect.objectContaining({ product: 'dialogporten', environment: 'at23' }),
        repeat: 'duplicate',
        remembered: true,
        delay_ms: 0,
      },
    ],
  });
});

test('a failure without a revision is rate limited, for an interval of its own', () => {
  const [candidate] = candidatesOf(
    decideOn({ reason: 'AccessDenied', severity: 'error', metadata: { revision: '', dispatch_on: 'any' } }),
  );
  expect(candidate).toMatchObject({
    claim: { delivered_ttl_ms: 3_600_000 },
    repeat: 'rate_limited',
    remembered: false,
  });
});

describe('reason', () => {
  const on = { dispatch_on: 'any' };
  test.each([
    ...SUCCESS_REASONS.map(reason => [reason, 'info', 'success'] as const),
    ...SUCCESS_REASONS.map(reason => [reason, 'error', 'failure'] as const),
    ...FAILURE_REASONS.map(reason => [reason, 'error', 'failure'] as const),
    ['DependencyNotReady', 'info', 'failure'],
    ['RollbackSucceeded', 'info', 'failure'],
  ] as const)('%s with severity %s is a %s', (reason, severity, reasonClass) => {
    expect(candidatesOf(decideOn({ reason, severity, metadata: on }))[0]?.class).toBe(reasonClass);
  });

  test.each(FAILURE_REASONS.filter(reason => !INFO_FAILURE_REASONS.includes(reason)))(
    '%s with severity info reports a deletion',
    reason => {
      expect(outcomeOf(decideOn({ reason, metadata: on }))).toBe('ignored_reason');
    },
  );

  test.each([
    'TestSucceeded',
    'Progressing',
    'InventoryBuildFailed',
    'reconciliationsucceeded',
    'constructor',
  ])('%s is none that counts', reason => {
    expect(outcomeOf(decideOn({ reason, metadata: on }))).toBe('ignored_reason');
  });

  test('both lists are configurable', () => {
    const config = { SUCCESS_REASONS: ['Promoted'], FAILURE_REASONS: ['Aborted'] };
    expect(candidatesOf(decideOn({ reason: 'Promoted' }, config))[0]?.class).toBe('success');
    expect(
      candidatesOf(decideOn({ reason: 'Aborted', severity: 'error', metadata: on }, config))[0]?.class,
    ).toBe('failure');
    expect(outcomeOf(decideOn({ reason: 'ReconciliationSucceeded' }, config))).toBe('ignored_reason');
  });
});

describe('target', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `Altinn/r${index}`);

  test('dispatch_repo is missing', () => {
    const event = parsed(fluxEvent({ metadata: { revision: ociRevision('at23', 'a') } }));
    expect(outcomeOf(decide(event, SENDER, CONFIG))).toBe('missing_dispatch_repo');
  });

  test.each([
    ['', 'empty'],
    ['dialogporten', 'no owner'],
    ['Altinn/', 'no name'],
    ['Altinn/a/b', 'a path'],
    ['Altinn/..', 'dots only'],
    ['../dialogporten', 'dots only'],
    ['https://github.com/Altinn/a', 'a URL'],
    ['Evil/repo', 'another owner'],
    ['AltinnX/repo', 'another owner'],
    [' Altinn/a', 'a space that is at no comma'],
    ['Altinn/a ', 'a space that is at no comma'],
    ['Altinn/a,\tAltinn/b', 'white space other than spaces'],
    ['Altinn/a\n,Altinn/b', 'white space other than spaces'],
    ['Altinn/a,', 'an empty entry'],
    [',Altinn/a', 'an empty entry'],
    ['Altinn/a,Evil/b', 'one invalid entry'],
    [many(11).join(), 'over ten'],
  ])('%j is invalid: %s', dispatch_repo => {
    expect(outcomeOf(decideOn({ metadata: { dispatch_repo } }))).toBe('invalid_dispatch_repo');
  });

  test.each([
    ['Altinn/a', ['Altinn/a']],
    ['Digdir/a', ['Digdir/a']],
    ['ALTINN/a', ['ALTINN/a']],
    ['Altinn/a,Digdir/b', ['Altinn/a', 'Digdir/b']],
    ['Altinn/a  ,  Altinn/b', ['Altinn/a', 'Altinn/b']],
    ['Altinn/App,altinn/app,Altinn/b', ['Altinn/App', 'Altinn/b']],
    [many(10).join(), many(10)],
    [[...many(10), 'altinn/R0'].join(), many(10)],
  ])('%j', (dispatch_repo, repos) => {
    const candidates = candidatesOf(decideOn({ metadata: { dispatch_repo } }));
    expect(candidates.map(({ repo }) => repo)).toEqual(repos);
    expect(new Set(candidates.map(({ dedup_id }) => dedup_id)).size).toBe(repos.length);
  });
});

describe('event type', () => {
  test.each([
    [undefined, 'flux-deploy'],
    ['flux-deploy', 'flux-deploy'],
    ['A.b_c-9', 'A.b_c-9'],
    ['e'.repeat(100), 'e'.repeat(100)],
    ['e'.repeat(101), undefined],
    ['', undefined],
    ['flux deploy', undefined],
    ['flux-deploy\n', undefined],
    ['flux/deploy', undefined],
    ['blå', undefined],
  ])('dispatch_event %j', (dispatch_event, eventType) => {
    const decision = decideOn({ metadata: dispatch_event === undefined ? {} : { dispatch_event } });
    if (eventType === undefined) expect(outcomeOf(decision)).toBe('invalid_dispatch_event');
    else expect(candidatesOf(decision)[0]?.event_type).toBe(eventType);
  });

  test('the default is configurable', () => {
    const decision = decideOn({}, { DEFAULT_DISPATCH_EVENT: 'deployed' });
    expect(candidatesOf(decision)[0]?.event_type).toBe('deployed');
  });
});

describe('routing', () => {
  const [SUCCESS, FAILURE] = ['ReconciliationSucceeded', 'BuildFailed'];
  test.each([
    // dispatch_event, dispatch_on, and what becomes of a success and of a failure
    ['flux-deploy', undefined, 'enqueue', 'not_routed'],
    ['flux-deploy-failed', undefined, 'not_routed', 'enqueue'],
    ['failed', undefined, 'enqueue', 'not_routed'],
    ['flux-failed-deploy', undefined, 'enqueue', 'not_routed'],
    ['flux-deploy', 'success', 'enqueue', 'not_routed'],
    ['flux-deploy', 'failure', 'not_routed', 'enqueue'],
    ['flux-deploy', 'any', 'enqueue', 'enqueue'],
    ['flux-deploy-failed', 'success', 'enqueue', 'not_routed'],
    ['flux-deploy-failed', 'any', 'enqueue', 'enqueue'],
    ['flux-deploy-recovered', undefined, 'recover', 'not_routed'],
    ['recovered', undefined, 'enqueue', 'not_routed'],
    ['flux-deploy', 'recovery', 'recover', 'not_routed'],
    ['flux-deploy-failed', 'recovery', 'recover', 'not_routed'],
    ['flux-deploy-recovered', 'any', 'enqueue', 'enqueue'],
    ['flux-deploy-recovered', 'success', 'enqueue', 'not_routed'],
    ['flux-deploy', 'constructor', 'invalid_dispatch_on', 'invalid_dispatch_on'],
    ['flux-deploy', 'Success', 'invalid_dispatch_on', 'invalid_dispatch_on'],
    ['flux-deploy', 'all', 'invalid_dispatch_on', 'invalid_dispatch_on'],
    ['flux-deploy', '', 'invalid_dispatch_on', 'invalid_dispatch_on'],
  ])(
    '%s with dispatch_on %j: a success %s, a failure %s',
    (dispatch_event, dispatch_on, success, failure) => {
      const metadata = { dispatch_event, ...(dispatch_on === undefined ? {} : { dispatch_on }) };
      expect(outcomeOf(decideOn({ reason: SUCCESS, metadata }))).toBe(success);
      expect(outcomeOf(decideOn({ reason: FAILURE, severity: 'error', metadata }))).toBe(failure);
    },
  );

  test.each([
    // dispatch_reasons, the reason, and what becomes of it
    ['UpgradeSucceeded', 'UpgradeSucceeded', 'enqueue'],
    ['UpgradeSucceeded', 'InstallSucceeded', 'not_routed'],
    [' InstallSucceeded , UpgradeSucceeded ', 'UpgradeSucceeded', 'enqueue'],
    ['TestSucceeded', 'TestSucceeded', 'enqueue'],
    ['TestSucceeded', 'UpgradeSucceeded', 'not_routed'],
    ['UpgradeSucceeded', 'TestSucceeded', 'ignored_reason'],
    // A reason of Flux that this service is not configured for is no mistake of the team.
    ['UpgradeSucceeded,ReconciliationSucceeded', 'UpgradeSucceeded', 'enqueue'],
    ['UpgradeSucceded', 'UpgradeSucceeded', 'invalid_dispatch_reasons'],
    ['', 'UpgradeSucceeded', 'invalid_dispatch_reasons'],
    ['UpgradeSucceeded,', 'UpgradeSucceeded', 'invalid_dispatch_reasons'],
  ])('dispatch_reasons %j: %s is %s', (dispatch_reasons, reason, outcome) => {
    expect(outcomeOf(decideOn({ reason, metadata: { dispatch_reasons } }))).toBe(outcome);
  });

  test('a success that is not routed still is a recovery of its object, towards each repository', () => {
    const metadata = { dispatch_event: 'flux-deploy-failed', dispatch_repo: 'Altinn/a,Altinn/b' };
    const failures = candidatesOf(decideOn({ reason: FAILURE, severity: 'error', metadata }));
    const timestamp = new Date('2026-03-05T12:01:00Z');
    for (const unrouted of [
      metadata,
      { ...metadata, dispatch_on: 'success', dispatch_reasons: 'InstallSucceeded' },
      { ...metadata, dispatch_on: 'recovery', dispatch_reasons: 'InstallSucceeded' },
    ]) {
      expect(decideOn({ timestamp, metadata: unrouted })).toMatchObject({
        outcome: 'not_routed',
        recovery: { object_ids: failures.map(({ object_id }) => object_id), event_time: 1_772_712_060 },
      });
    }
    expect(decideOn({ reason: FAILURE, severity: 'error' })).not.toHaveProperty('recovery');
  });

  test('a success for an Alert that takes recoveries names the objects whose failures it is about', () => {
    const metadata = { dispatch_repo: 'Altinn/a,Altinn/b', revision: '' };
    const failed = { ...metadata, dispatch_event: 'flux-deploy-failed' };
    const failures = candidatesOf(decideOn({ reason: FAILURE, severity: 'error', metadata: failed }));
    const timestamp = new Date('2026-03-05T12:01:00Z');
    const recovered = { ...metadata, dispatch_event: 'flux-deploy-recovered' };
    expect(decideOn({ timestamp, metadata: recovered })).toMatchObject({
      kind: 'recover',
      recovery: { object_ids: failures.map(({ object_id }) => object_id), event_time: 1_772_712_060 },
    });
  });

  test('DependencyNotReady waits, so that the success of a normal deploy supersedes it', () => {
    const metadata = { dispatch_on: 'any' };
    expect(candidatesOf(decideOn({ reason: 'DependencyNotReady', metadata }))[0]?.delay_ms).toBe(300_000);
    expect(candidatesOf(decideOn({ reason: 'RollbackSucceeded', metadata }))[0]?.delay_ms).toBe(0);
  });

  test('an error under a success reason is a failure', () => {
    const metadata = { dispatch_event: 'flux-deploy-failed' };
    expect(candidatesOf(decideOn({ reason: SUCCESS, severity: 'error', metadata }))[0]?.class).toBe(
      'failure',
    );
    expect(outcomeOf(decideOn({ reason: SUCCESS, severity: 'error' }))).toBe('not_routed');
  });
});

test.each([
  [
    'reason',
    { reason: 'Progressing', metadata: { dispatch_repo: '', dispatch_event: '' } },
    'ignored_reason',
  ],
  ['target', { metadata: { dispatch_repo: '', dispatch_event: '' } }, 'invalid_dispatch_repo'],
  ['event type', { metadata: { dispatch_event: '', dispatch_on: '' } }, 'invalid_dispatch_event'],
])('the first step that decides ends it: %s', (_, options, outcome) => {
  expect(outcomeOf(decideOn(options))).toBe(outcome);
});

test.each([
  [{ dispatch_repo: 'Evil/repo' }, /"Evil\/repo".*Altinn, Digdir/],
  [{ dispatch_repo: 'nothing\nat all' }, /dispatch_repo "nothing\\nat all" must be owner\/name/],
  [{ dispatch_repo: 'x'.repeat(100_000) }, /dispatch_repo "x+…" must be owner\/name/],
  [{ dispatch_event: 'a b' }, /dispatch_event "a b" must be 1 to 100 letters/],
  [{ dispatch_on: 'all' }, /dispatch_on "all" must be success, failure, recovery or any/],
  [{ dispatch_event: 'flux-deploy-failed' }, /a success \(ReconciliationSucceeded\).*flux-deploy-failed/],
  [
    { dispatch_event: 'x-recovered' },
    /nothing to recover from: no failure .* came before this success \(Rec.*x-recovered takes recov/,
  ],
])('the message tells the team what to change, in one line: %#', (metadata, message) => {
  const decision = decideOn({ metadata });
  if (decision.kind === 'enqueue') throw new Error('it was enqueued');
  expect(decision.alert).toMatchObject(metadata);
  expect(decision.message).toMatch(message);
  expect(decision.message).not.toContain('\n');
  expect(decision.message.length).toBeLessThan(300);
});
