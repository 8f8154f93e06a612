import type { ErrorCode, Verdict } from '@flux-dispatch/github/verdict';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { OutageState } from '@flux-dispatch/queue/outages';
import { createLogger } from '@flux-dispatch/runtime/log';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import type { DispatchJob, TakenJob } from './attempt.ts';
import { createDispatcherMetrics } from './metrics.ts';
import { createProcessor } from './processor.ts';

const NOW = Date.parse('2026-03-05T12:00:00Z');
const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const ID = 'c1f7a1f0-0000-4000-8000-000000000000';
const DEDUP_ID = '1'.repeat(64);
const OUTAGE = { id: 'outage-1', since: '2026-03-05T11:00:00Z' };
const LIMIT = { kind: 'primary', waitMs: 5000 } as const;

interface Given {
  readonly verdict?: Verdict;
  readonly dryRun?: boolean;
  readonly job?: Partial<DispatchJob>;
  /** What BullMQ does not say of the job. */
  readonly without?: 'id' | 'deduplicationId';
  readonly dispatch?: Partial<Dispatch>;
  /** What Redis knows from before. */
  readonly wantsReceipt?: boolean;
  readonly is?: 'delivered' | 'buried' | 'superseded';
  /** What has become of the outage of a recovery. */
  readonly outage?: OutageState;
  /** Redis refuses the first time that the claim is settled as delivered. */
  readonly refusal?: string;
  /** Whether a new dead letter was written. */
  readonly written?: boolean;
  /** By how much the clock of the dispatcher is behind that of Redis, in milliseconds. */
  readonly behind?: number;
  /** It is given to the same process once more. */
  readonly again?: boolean;
  /** For how long the pace holds it back, in milliseconds. */
  readonly heldMs?: number;
  /** Part of the payload. */
  readonly payload?: Partial<Dispatch['payload']>;
  /** The metrics of a dispatcher that has run attempts before. */
  readonly metered?: ReturnType<typeof startMetrics>;
}

function startMetrics() {
  const registry = new Registry();
  return {
    registry,
    metrics: createDispatcherMetrics(
      registry,
      async () => [],
      async () => 1,
    ),
  };
}

/** Runs one attempt. Redis and GitHub are only asked, and answer as `given`. */
async function run(given: Given) {
  const dispatch = testDispatch({ dedup_id: DEDUP_ID, accepted_at: NOW - 2 * SECOND_MS, ...given.dispatch });
  Object.assign(dispatch.payload, { dispatch_id: ID }, given.payload);
  /** What GitHub was sent, and what was buried. */
  const seen: unknown[] = [];
  const steps: string[] = [];
  /** What repeats are answered with, from the death of the dispatch on. */
  const reasons: (string | undefined)[] = [];
  /** From when on the runs of what was delivered are looked for. */
  const receipts: unknown[] = [];
  const step = (text: string) => async () => void steps.push(text);
  let refusal = given.refusal;
  let settled = false;
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => {
    const { time: _, process: __, msg: ___, ...fields } = JSON.parse(line);
    lines.push(fields);
  };
  const { registry, metrics } = given.metered ?? startMetrics();
  const { verdict } = given;
  const processor = createProcessor({
    wantsReceipt: async () => given.wantsReceipt ?? true,
    github: given.dryRun
      ? undefined
      : {
          async attempt(sent, mayGo) {
            if (!(await mayGo())) return 'held';
            steps.push('GitHub');
            seen.push(sent);
            return verdict ?? expect.fail('GitHub was asked');
          },
        },
    claims: {
      isDelivered: async () => given.is === 'delivered' || settled,
      async settleDelivered(_id, _dispatch, githubTime) {
        steps.push('settle delivered');
        receipts.push(githubTime);
        settled = refusal === undefined;
        if (refusal === undefined) return NOW;
        const message = refusal;
        refusal = undefined;
        throw new Error(message);
      },
      async settleDead(id, dedupId, { cooldownMs, run, reason }) {
        steps.push(`settle dead ${id === ID} ${dedupId} ${cooldownMs} ${run}`.replace(DEDUP_ID, 'own'));
        reasons.push(reason);
      },
      release: async (id, { dedup_id }, run) =>
        void steps.push(`release ${id === ID} ${dedup_id} ${run}`.replace(DEDUP_ID, 'own')),
    },
    outages: {
      async beginAttempt(_, token) {
        steps.push(`begin ${token}`);
        return given.is === 'superseded' ? undefined : OUTAGE;
      },
      endAttempt: async (_, token) => void steps.push(`end ${token}`),
      stateOf: async () => given.outage ?? 'confirmed',
    },
    deadLetters: {
      reasonOf: async () => (given.is === 'buried' ? 'GitHub answered 404. Install it.' : undefined),
      async bury(name, { dispatch_id, attempts, dispatch: kept }) {
        seen.push(kept);
        const isAsItCame = JSON.stringify(kept) === JSON.stringify(job.data);
        steps.push(`bury ${name}: ${attempts} ${dispatch_id === ID && isAsItCame}`);
        return { written: given.written ?? true };
      },
      removeOwn: step('remove own'),
      removeOwnAndOlder: step('remove own and older'),
    },
    pace: async () => given.heldMs ?? 0,
    pause: async ({ kind, waitMs }) => void steps.push(`pause ${kind} ${waitMs}`),
    metrics,
    log: createLogger('test', 'info', { write }),
    now: () => NOW - (given.behind ?? 0),
    async redisTime() {
      steps.push('TIME');
      return NOW;
    },
    forgetStalls: async id => void steps.push(`forget stalls ${id === ID}`),
    config: { ALLOWED_OWNERS: ['Altinn'], DISPATCH_RETRY_WINDOW: 6 * HOUR_MS, DEAD_LETTER_COOLDOWN: HOUR_MS },
  });
  const job: TakenJob = {
    ...{ id: ID, name: 'Altinn/dialogporten flux-deploy', data: dispatch, deduplicationId: DEDUP_ID },
    ...{ timestamp: NOW - SECOND_MS, attemptsMade: 0, stalledCounter: 0, opts: {}, token: 'token' },
    ...given.job,
    moveToDelayed: async until => void steps.push(`delay ${until}`),
  };
  if (given.without) delete job[given.without];
  const attempt = () =>
    processor(job).then(
      () => 'completed',
      (error: Error) => error.constructor.name,
    );
  let end = await attempt();
  if (given.again) {
    job.attemptsMade++;
    end = await attempt();
  }
  return { end, lines, steps, seen, reasons, receipts, counted: await counted(registry) };
}

/** What was counted, without `flux_dispatch_` and `_total`. */
async function counted(registry: Registry): Promise<string[]> {
  const text = await registry.metrics();
  return text
    .split('\n')
    .filter(line => /^flux_dispatch_\w+(_total|_count)\b.* [^0]/.test(line))
    .map(line => line.replace('flux_dispatch_', '').replace('_total', ''))
    .toSorted();
}

const ABOUT = {
  product: 'dialogporten',
  env: 'at23',
  repo: 'Altinn/dialogporten',
  event_type: 'flux-deploy',
  reason: 'ReconciliationSucceeded',
  dispatch_id: ID,
  attempt: 1,
};
const OWN = 'repo="Altinn/dialogporten",event_type="flux-deploy"';
const OTHER = 'repo="other",event_type="other"';
const SUCCEEDED = 'reason="ReconciliationSucceeded"';
const bury = (attempts = 1, name = 'Altinn/dialogporten flux-deploy') => `bury ${name}: ${attempts} true`;
const cooldown = (run = NOW - SECOND_MS, dedupId = 'own') => `settle dead true ${dedupId} ${HOUR_MS} ${run}`;

const duration = (code: string) => `dispatch_duration_seconds_count{code="${code}"} 1`;
const failed = (code: string, labels = OTHER) => `dispatch_errors{${labels},error_code="${code}"} 1`;
const dead = (code: string, labels = OTHER) => `dead_letters{${labels},error_code="${code}"} 1`;
const AUTH_ERROR = 'github_auth_errors 1';

const delivered: Verdict = { kind: 'delivered', code: '204' };
const notFound: Verdict = { kind: 'dead', code: '404', message: 'GitHub answered 404', hint: 'Install it.' };
const retry = (code: ErrorCode, stack?: string): Verdict => ({
  ...{ kind: 'retry', code, message: `It was ${code}`, stack },
});
const refused: Verdict = { kind: 'pause', code: '429', message: 'GitHub answered 429', limit: LIMIT };

const RECOVERY = { version: 2, class: 'recovery' } as const;

interface Expected {
  /** What the job comes to in BullMQ's terms. */
  readonly end: 'completed' | 'Retry' | 'RateLimitError' | 'UnrecoverableError';
  /** The one line that is logged. */
  readonly line?: Readonly<Record<string, unknown>>;
  /** What is done, in this order. */
  readonly steps: readonly string[];
  readonly counted: readonly string[];
}

const error = (outcome: string, message: unknown) => ({ ...ABOUT, level: 'warn', outcome, error: message });
const givenUp = (message: unknown, hint: unknown) => ({
  ...{ ...ABOUT, level: 'error', outcome: 'dead', error: message, hint },
});

describe('an attempt does, logs and counts what it comes to', () => {
  test.each<[string, Given, Expected]>([
    [
      'delivered',
      { verdict: delivered },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered', status: 204 },
        steps: ['GitHub', 'settle delivered', 'remove own and older'],
        counted: [`dispatches{${OWN},${SUCCEEDED}} 1`, 'end_to_end_seconds_count 1', duration('204')],
      },
    ],
    [
      'delivered with the last call within the limit: settled before the queue pauses',
      { verdict: { ...delivered, limit: LIMIT } },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered', status: 204 },
        steps: ['GitHub', 'settle delivered', 'pause primary 5000', 'remove own and older'],
        counted: [`dispatches{${OWN},${SUCCEEDED}} 1`, 'end_to_end_seconds_count 1', duration('204')],
      },
    ],
    [
      'delivered while Redis takes no writes: settled again, sent once',
      { verdict: delivered, refusal: 'READONLY You cannot write against a read only replica.' },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered', status: 204 },
        steps: ['GitHub', 'settle delivered', 'settle delivered', 'remove own and older'],
        counted: [`dispatches{${OWN},${SUCCEEDED}} 1`, 'end_to_end_seconds_count 1', duration('204')],
      },
    ],
    [
      'refused for the number of calls',
      { verdict: refused },
      {
        end: 'RateLimitError',
        line: error('rate_limited', 'GitHub answered 429'),
        steps: ['GitHub', 'pause primary 5000'],
        counted: [duration('429')],
      },
    ],
    [
      'to be retried',
      { verdict: retry('500'), job: { attemptsMade: 2 } },
      {
        end: 'Retry',
        line: { ...error('retry', 'It was 500'), attempt: 3 },
        steps: ['GitHub', 'TIME'],
        counted: [failed('500'), duration('500'), 'retries{error_code="500"} 1'],
      },
    ],
    [
      'to be retried, with the last call within the limit',
      { verdict: { ...retry('500'), limit: LIMIT } },
      {
        end: 'Retry',
        line: error('retry', 'It was 500'),
        steps: ['GitHub', 'pause primary 5000', 'TIME'],
        counted: [failed('500'), duration('500'), 'retries{error_code="500"} 1'],
      },
    ],
    ...(['401', 'auth'] as const).map((code): [string, Given, Expected] => [
      `to be retried, as the App is refused: ${code}`,
      { verdict: retry(code) },
      {
        end: 'Retry',
        line: error('retry', `It was ${code}`),
        steps: ['GitHub', 'TIME'],
        counted: [failed(code), duration(code), AUTH_ERROR, `retries{error_code="${code}"} 1`],
      },
    ]),
    [
      'to be retried, as our own code failed: an error, which says where',
      { verdict: retry('internal', 'TypeError: …\n at github.ts:1') },
      {
        end: 'Retry',
        line: {
          ...error('retry', 'It was internal'),
          level: 'error',
          stack: 'TypeError: …\n at github.ts:1',
        },
        steps: ['GitHub', 'TIME'],
        counted: [failed('internal'), duration('internal'), 'retries{error_code="internal"} 1'],
      },
    ],
    [
      'to be retried, as our own code failed until the retry window was over',
      { verdict: retry('internal'), job: { timestamp: NOW - 6 * HOUR_MS - 1 } },
      {
        end: 'UnrecoverableError',
        line: givenUp(
          'It was internal',
          expect.stringMatching(/bug in flux-dispatch.*DISPATCH_RETRY_WINDOW/),
        ),
        steps: ['GitHub', 'TIME', bury(), cooldown(NOW - 6 * HOUR_MS - 1)],
        counted: [dead('internal'), failed('internal'), duration('internal')],
      },
    ],
    [
      'to be retried, but older than the retry window',
      { verdict: retry('timeout'), job: { timestamp: NOW - 6 * HOUR_MS - 1, attemptsMade: 7 } },
      {
        end: 'UnrecoverableError',
        line: {
          ...givenUp('It was timeout', expect.stringContaining('DISPATCH_RETRY_WINDOW')),
          attempt: 8,
        },
        steps: ['GitHub', 'TIME', bury(8), cooldown(NOW - 6 * HOUR_MS - 1)],
        counted: [dead('timeout'), failed('timeout'), duration('timeout')],
      },
    ],
    [
      'to be retried, and older than the retry window by a clock that is ahead of that of Redis',
      { verdict: retry('timeout'), behind: -7 * HOUR_MS },
      {
        end: 'Retry',
        line: error('retry', 'It was timeout'),
        steps: ['GitHub', 'TIME'],
        counted: [failed('timeout'), duration('timeout'), 'retries{error_code="timeout"} 1'],
      },
    ],
    [
      'to be retried, by a worker that is not the first: the stalls of this attempt are over',
      { verdict: retry('500'), job: { stalledCounter: 4 } },
      {
        end: 'Retry',
        line: error('retry', 'It was 500'),
        steps: ['GitHub', 'TIME', 'forget stalls true'],
        counted: [failed('500'), duration('500'), 'retries{error_code="500"} 1'],
      },
    ],
    [
      'refused for the number of calls, by a worker that is not the first',
      { verdict: refused, job: { stalledCounter: 4 } },
      {
        end: 'RateLimitError',
        line: error('rate_limited', 'GitHub answered 429'),
        steps: ['GitHub', 'pause primary 5000', 'forget stalls true'],
        counted: [duration('429')],
      },
    ],
    [
      'a failure of more than a day ago, as after a restored backup',
      { dispatch: { class: 'failure' }, job: { timestamp: NOW - 24 * HOUR_MS - 1 } },
      {
        end: 'UnrecoverableError',
        line: givenUp(
          expect.stringContaining('too long ago to be sent'),
          expect.stringContaining('send it anyway'),
        ),
        steps: ['begin token', 'TIME', bury(), cooldown(NOW - 24 * HOUR_MS - 1)],
        counted: [dead('internal'), failed('internal')],
      },
    ],
    [
      'a failure that only the clock of the dispatcher takes for so old',
      { verdict: delivered, dispatch: { class: 'failure' }, behind: -25 * HOUR_MS },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered', status: 204 },
        steps: ['begin token', 'TIME', 'GitHub', 'settle delivered', 'remove own and older'],
        counted: [`dispatches{${OWN},${SUCCEEDED}} 1`, 'end_to_end_seconds_count 1', duration('204')],
      },
    ],
    [
      'a success of five days ago is still news',
      { verdict: delivered, job: { timestamp: NOW - 120 * HOUR_MS } },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered', status: 204 },
        steps: ['GitHub', 'settle delivered', 'remove own and older'],
        counted: [`dispatches{${OWN},${SUCCEEDED}} 1`, 'end_to_end_seconds_count 1', duration('204')],
      },
    ],
    [
      'dead',
      { verdict: { ...notFound, limit: LIMIT } },
      {
        end: 'UnrecoverableError',
        line: givenUp('GitHub answered 404', 'Install it.'),
        steps: ['GitHub', 'pause primary 5000', bury(), cooldown()],
        counted: [dead('404'), failed('404'), duration('404')],
      },
    ],
    [
      'dead, with a dead letter that was there before',
      { verdict: notFound, written: false },
      {
        end: 'UnrecoverableError',
        line: givenUp('GitHub answered 404', 'Install it.'),
        steps: ['GitHub', bury(), cooldown()],
        counted: [failed('404'), duration('404')],
      },
    ],
    [
      'not allowed',
      { dispatch: { repo: 'Evil/dialogporten' } },
      {
        end: 'UnrecoverableError',
        line: {
          ...givenUp(
            expect.stringContaining('"Evil/dialogporten"'),
            expect.stringContaining('ALLOWED_OWNERS'),
          ),
          repo: 'Evil/dialogporten',
        },
        steps: [bury(), cooldown()],
        counted: [dead('internal'), failed('internal')],
      },
    ],
    [
      'superseded',
      { is: 'superseded', dispatch: { class: 'failure' } },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'superseded' },
        steps: ['begin token', `release true own ${NOW - SECOND_MS}`, 'remove own'],
        counted: ['superseded 1'],
      },
    ],
    [
      'a recovery from an outage of which no failure was delivered',
      { dispatch: RECOVERY, outage: 'gone' },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'superseded' },
        steps: [`release true own ${NOW - SECOND_MS}`, 'remove own'],
        counted: ['superseded 1'],
      },
    ],
    [
      'a failure to be retried: no recovery waits for it',
      { verdict: retry('500'), dispatch: { class: 'failure' } },
      {
        end: 'Retry',
        line: error('retry', 'It was 500'),
        steps: ['begin token', 'GitHub', 'end token', 'TIME'],
        counted: [failed('500'), duration('500'), 'retries{error_code="500"} 1'],
      },
    ],
    [
      'a failure that is refused for the number of calls: no recovery waits for it',
      { verdict: refused, dispatch: { class: 'failure' } },
      {
        end: 'RateLimitError',
        line: error('rate_limited', 'GitHub answered 429'),
        steps: ['begin token', 'GitHub', 'pause primary 5000', 'end token'],
        counted: [duration('429')],
      },
    ],
    [
      'a dry run',
      { dryRun: true },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'dry_run' },
        steps: ['settle delivered'],
        counted: [`dryrun_dispatches{${OTHER},${SUCCEEDED}} 1`],
      },
    ],
    [
      'delivered before, by a worker that died',
      { is: 'delivered', job: { stalledCounter: 1 } },
      {
        end: 'completed',
        line: { ...ABOUT, level: 'info', outcome: 'delivered_before' },
        steps: ['remove own and older'],
        counted: [],
      },
    ],
    [
      'buried before, by an attempt that Redis refused to end',
      { is: 'buried', job: { attemptsMade: 1 } },
      { end: 'UnrecoverableError', steps: [cooldown()], counted: [] },
    ],
    [
      'stalled too often',
      { job: { stalledCounter: 6 } },
      {
        end: 'UnrecoverableError',
        line: givenUp(
          expect.stringContaining('more than 5 times'),
          expect.stringContaining('kills the dispatcher'),
        ),
        steps: [bury(), cooldown()],
        counted: [dead('internal'), failed('internal')],
      },
    ],
    [
      'unreadable',
      { job: { name: 'from ingest 2.0', data: { version: 2 }, deduplicationId: 'its claim' } },
      {
        end: 'UnrecoverableError',
        line: {
          ...{ level: 'error', outcome: 'dead', dispatch_id: ID },
          ...{ error: expect.stringContaining('version'), hint: expect.stringContaining('Upgrade') },
        },
        steps: [bury(1, 'from ingest 2.0'), cooldown(NOW - SECOND_MS, 'its claim')],
        counted: [dead('internal')],
      },
    ],
    [
      'unreadable, without a claim',
      { job: { data: null }, without: 'deduplicationId', written: false },
      {
        end: 'UnrecoverableError',
        line: {
          ...{ level: 'error', outcome: 'dead', dispatch_id: ID },
          ...{ error: expect.stringContaining('expected object'), hint: expect.stringContaining('Upgrade') },
        },
        steps: [bury()],
        counted: [],
      },
    ],
  ])('%s', async (_, given, { end, line, steps, counted }) => {
    const lines = line ? [line] : [];
    const expected = { end, lines, steps, counted: counted.toSorted() };
    expect(await run(given)).toEqual({
      ...expected,
      seen: expect.any(Array),
      reasons: expect.any(Array),
      receipts: expect.any(Array),
    });
  });
});

test.each<[string, Given, unknown]>([
  ['when GitHub said', { verdict: { kind: 'delivered', code: '204', at: NOW - 7 } }, NOW - 7],
  ['now where GitHub did not say', { verdict: { kind: 'delivered', code: '204' } }, 'unknown'],
  [
    'never where they are not wanted',
    { verdict: { kind: 'delivered', code: '204' }, wantsReceipt: false },
    undefined,
  ],
])('the runs of a delivered dispatch are looked for from %s', async (_, given, from) => {
  expect((await run(given)).receipts).toEqual([from]);
});

test.each<[string, Given]>([
  ['dies', { verdict: notFound }],
  ['was buried before', { is: 'buried', job: { attemptsMade: 1 } }],
])('a dispatch that %s leaves its reason for the team', async (_, given) => {
  expect((await run(given)).reasons).toEqual(['GitHub answered 404. Install it.']);
});

test('held back by the pace it goes back to its place, which is not reported', async () => {
  expect(await run({ verdict: delivered, heldMs: 300 })).toMatchObject({
    ...{ end: 'RateLimitError', steps: [], lines: [], counted: [] },
  });
});

test('a failure that the pace holds back does not hold back a recovery', async () => {
  const held = await run({ verdict: delivered, heldMs: 300, dispatch: { class: 'failure' } });
  expect(held).toMatchObject({ end: 'RateLimitError', steps: ['begin token', 'end token'] });
});

test('a failure is sent with its outage, which is not part of its dead letter', async () => {
  const flux = expect.objectContaining({ outage: OUTAGE });
  const payload = expect.objectContaining({ flux });
  const { seen } = await run({ verdict: notFound, dispatch: { class: 'failure' } });
  expect(seen).toEqual([expect.objectContaining({ payload }), expect.not.objectContaining({ payload })]);
});

describe('a recovery', () => {
  const sent = ['GitHub', 'settle delivered', 'remove own and older'];
  const waits = ['TIME', `delay ${NOW + SECOND_MS}`];
  const late = { timestamp: NOW - 300 * SECOND_MS - 1 };
  test.each<[string, Given, end: string, steps: string[]]>([
    ['is sent once its outage is confirmed', { outage: 'confirmed' }, 'completed', sent],
    ['waits for a failure that is under way', { outage: 'tried' }, 'DelayedError', waits],
    ['waits no longer than 5 minutes', { outage: 'tried', job: late }, 'completed', ['TIME', ...sent]],
    [
      'is sent although its outage is forgotten, if that was confirmed before',
      { outage: 'gone', dispatch: { ...RECOVERY, outage_confirmed: true } },
      'completed',
      sent,
    ],
  ])('%s', async (_, given, end, steps) => {
    expect(await run({ verdict: delivered, dispatch: RECOVERY, ...given })).toMatchObject({ end, steps });
  });
});

test.each([
  [
    'a dispatcher whose clock is ahead takes it too early',
    -HOUR_MS,
    { timestamp: NOW - 1000 },
    'DelayedError',
  ],
  ['it is time', 0, { timestamp: NOW - 5000 }, 'completed'],
  ['it was tried before', -HOUR_MS, { timestamp: NOW - 1000, attemptsMade: 1 }, 'completed'],
])("a dispatch that waits is sent by Redis' clock: %s", async (_, behind, job, end) => {
  const ran = await run({ verdict: delivered, behind, job: { ...job, opts: { delay: 5000 } } });
  expect(ran.end).toBe(end);
  // By the clock of this dispatcher, which is the one that BullMQ looks at.
  if (end === 'DelayedError') expect(ran.steps).toEqual(['TIME', `delay ${NOW + HOUR_MS + 4000}`]);
});

describe('delivered, and Redis refuses for good to record it', () => {
  const refusal = 'WRONGTYPE Operation against a key holding the wrong kind of value';
  const unexpected = { level: 'error', dispatch_id: ID, err: expect.objectContaining({ message: refusal }) };
  const steps = ['GitHub', 'settle delivered', 'TIME'];

  test('tried again, with a line that says why', async () => {
    expect(await run({ verdict: delivered, refusal })).toEqual({
      ...{ end: 'Retry', steps, seen: [expect.anything()], reasons: [], receipts: expect.any(Array) },
      lines: [unexpected, { ...error('retry', refusal), level: 'error' }],
      counted: [failed('internal', OWN), duration('204'), 'retries{error_code="internal"} 1'].toSorted(),
    });
  });

  test('the same process does not send it a second time', async () => {
    const { end, steps, lines } = await run({ verdict: delivered, refusal, again: true });
    expect({ end, steps }).toEqual({
      end: 'completed',
      steps: ['GitHub', 'settle delivered', 'TIME', 'settle delivered', 'remove own and older'],
    });
    expect(lines.at(-1)).toMatchObject({ outcome: 'delivered_before' });
  });

  test('older than the retry window: a dead letter, rather than once more every ten minutes', async () => {
    const { end, steps } = await run({ verdict: delivered, refusal, job: { timestamp: NOW - 7 * HOUR_MS } });
    expect({ end, steps }).toEqual({
      end: 'UnrecoverableError',
      steps: ['GitHub', 'settle delivered', 'TIME', bury(), cooldown(NOW - 7 * HOUR_MS)],
    });
  });
});

// "A lone surrogate in a dispatch that dies: retried for ever": neither GitHub nor a script of Redis reads one.
test.each<[string, Verdict, string]>([
  ['is sent without it', delivered, 'completed'],
  ['dies without it', notFound, 'UnrecoverableError'],
])('a dispatch with half of a surrogate pair %s', async (_, verdict, end) => {
  const message = 'half of \ud83d, and \u{1f600}';
  const flux = { ...testDispatch().payload.flux, metadata: { '\udc00': 'and \ude00' } };
  const ran = await run({ verdict, payload: { message, flux } });
  expect(ran.end).toBe(end);
  expect(ran.seen).toHaveLength(verdict.kind === 'dead' ? 2 : 1);
  for (const each of ran.seen) {
    expect(each).toMatchObject({
      payload: { message: 'half of \ufffd, and \u{1f600}', flux: { metadata: { '\ufffd': 'and \ufffd' } } },
    });
  }
});

// "1,050 misspelt repositories: all later repositories are `other`".
test('a repository has label values of its own once GitHub has accepted a dispatch to it, and not before', async () => {
  const metered = startMetrics();
  const { registry } = metered;
  const misspelt = Array.from({ length: 1050 }, (_, n) => `Altinn/typo-${n}`);
  for (const repo of misspelt) await run({ verdict: notFound, dispatch: { repo }, metered });
  expect(await counted(registry)).toEqual([
    `dead_letters{${OTHER},error_code="404"} 1050`,
    'dispatch_duration_seconds_count{code="404"} 1050',
    `dispatch_errors{${OTHER},error_code="404"} 1050`,
  ]);
  await run({ verdict: delivered, metered });
  expect(await counted(registry)).toContain(`dispatches{${OWN},${SUCCEEDED}} 1`);
});

test('a job without an id is a bug', async () => {
  expect(await run({ without: 'id' })).toMatchObject({ end: 'Error', lines: [], steps: [] });
});
