import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { claimKeys } from '@flux-dispatch/queue/keys';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { type EventOptions, fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import {
  type RecordedRequest,
  type RecordingProxy,
  startRecordingProxy,
} from '@flux-dispatch/testbed/recording-proxy';
import { type System, type SystemOptions, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import type { Job, Queue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';
import { openQueues } from '../support/queues.ts';
import { UNHURRIED } from '../support/unhurried.ts';

const HOUR_MS = 3_600_000;
const OWNERS = { Altinn: 1001, Digdir: 1002, Suspended: 1003 };

interface TestSystem extends AsyncDisposable {
  readonly stub: RunningGitHubStub;
  /** Between the dispatcher and the stub. */
  readonly proxy: RecordingProxy;
  readonly system: System;
  readonly queue: Queue<Dispatch>;
  /** Posts a deployment that was not posted before to ingest, and returns the id of its dispatch. */
  post(metadata?: Readonly<Record<string, string>>, event?: EventOptions): Promise<string>;
  /** The job of a dispatch, once it is completed. */
  ended(id: string): Promise<Job<Dispatch>>;
  /** The dead letter of a dispatch, once it is parked. */
  buried(id: string): Promise<Job<DeadLetter>>;
  /** How long the claim of a dispatch lives on, in milliseconds; -1 without expiry. */
  claimTtl(job: { data: { dedup_id?: string | undefined } }): Promise<number>;
  /** The dispatches that went over the wire, whatever became of them. */
  sent(repo?: string): RecordedRequest[];
  /** A metric of the dispatcher that was started last. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

let credentials: Credentials;
let count = 0;

/** A system with a GitHub of its own. */
async function openSystem(options: Partial<SystemOptions> = {}): Promise<TestSystem> {
  await using stack = new AsyncDisposableStack();
  const stub = stack.use(await startGitHubStub({ ...credentials.stub, owners: OWNERS }));
  const proxy = stack.use(await startRecordingProxy(stub.url));
  const redisUrl = inject('redisUrl');
  const system = stack.use(
    await startSystem({
      ...{ redisUrl, githubUrl: proxy.url, credentials, ...options },
      env: { ...UNHURRIED, ...options.env },
    }),
  );
  const { redis, dispatches: queue, deadLetters } = stack.use(openQueues(redisUrl, system.prefix));
  const opened = stack.move();
  return {
    ...{ stub, proxy, system, queue },
    async post(metadata = {}, event = {}) {
      count++;
      const revision = ociRevision('at23', `artifact ${count}`);
      const all = { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision, ...metadata };
      const body = fluxEvent({ name: `app-${count}`, metadata: all, ...event });
      const answer = await postEvent(system.ingests[0]?.eventsUrl ?? '', body, credentials.token);
      expect(answer).toMatchObject({ status: 202 });
      return answer.body.dispatch_id ?? '';
    },
    ended: id =>
      until(`dispatch ${id} is completed`, async () => {
        return (await queue.getJobState(id)) === 'completed' && queue.getJob(id);
      }),
    buried: id =>
      until(`dispatch ${id} is a dead letter`, async () => {
        const entries = await deadLetters.getFailed();
        return entries.find(({ data }) => data.dispatch_id === id);
      }),
    claimTtl: ({ data }) => redis.pttl(claimKeys(system.prefix).claim(data.dedup_id ?? '')),
    sent: repo =>
      proxy.requests.filter(
        ({ path }) =>
          path.endsWith('/dispatches') && (repo === undefined || path === `/repos/${repo}/dispatches`),
      ),
    metric: (name, labels) =>
      readMetric(system.dispatchers.at(-1)?.opsUrl ?? '', `flux_dispatch_${name}`, labels),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

beforeAll(async () => {
  credentials = await createCredentials();
});
afterAll(() => credentials[Symbol.asyncDispose]());

/** The fault for dispatches, to one repository or to all. */
function fault(
  action: FaultRule['action'],
  { repo, times }: { repo?: string; times?: number } = {},
): FaultRule {
  const match = { method: 'POST', path: '^/repos/', ...(repo ? { repo } : {}) };
  return { match, action, ...(times ? { times } : {}) };
}

function dispatchIds(requests: readonly RecordedRequest[]): string[] {
  return requests.map(({ body }) => JSON.parse(body.toString()).client_payload.dispatch_id);
}

/** At most `ms`, and more than half of it: the test itself takes no time that matters beside an hour. */
function within(ms: number) {
  return (ttl: number) => ttl <= ms && ttl > ms / 2;
}

// Most of these wait for a backoff or a pause: together they take as long as the longest.
describe.concurrent('a dispatch', () => {
  test('that GitHub takes is done, and its claim lives for an hour, without revision for RATE_LIMIT_INTERVAL', async () => {
    await using d = await openSystem({ env: { RATE_LIMIT_INTERVAL: '10m' } });
    const deploy = await d.ended(await d.post({ dispatch_event: 'flux-deploy' }));
    const failure = await d.ended(
      await d.post(
        { dispatch_event: 'flux-failed', revision: '' },
        { reason: 'AccessDenied', severity: 'error' },
      ),
    );
    expect([await deploy.getState(), await failure.getState()]).toEqual(['completed', 'completed']);
    expect(await d.claimTtl(deploy)).toSatisfy(within(HOUR_MS));
    expect(await d.claimTtl(failure)).toSatisfy(within(HOUR_MS / 6));
    expect(dispatchIds(d.sent('Altinn/dialogporten'))).toEqual([deploy.id, failure.id]);

    const repo = 'Altinn/dialogporten';
    const labels = [
      { repo, event_type: 'flux-deploy', reason: 'ReconciliationSucceeded' },
      { repo, event_type: 'flux-failed', reason: 'AccessDenied' },
    ];
    for (const each of labels) expect(await d.metric('dispatches_total', each)).toBe(1);
    expect(await d.metric('end_to_end_seconds_count')).toBe(2);
    expect(await d.metric('dispatch_duration_seconds_count', { code: '204' })).toBe(2);
    expect(await d.metric('dispatch_errors_total')).toBe(0);
  });

  describe('with answers of every kind', () => {
    const RETRIED: { code: string; failures: number; action: FaultRule['action'] }[] = [
      { code: '500', failures: 2, action: { status: 500 } },
      { code: '502', failures: 1, action: { status: 502, body: '<html>Unicorn!</html>' } },
      { code: '408', failures: 1, action: { status: 408 } },
      // The sign-in page of a proxy.
      { code: '200', failures: 1, action: { status: 200, body: '<html>Sign in</html>' } },
      { code: 'network', failures: 1, action: { drop: true } },
    ];
    const REFUSED = [
      { status: 403, message: 'Resource not accessible by integration', hint: /Contents: read and write/ },
      { status: 404, message: 'Not Found', hint: /not installed on .*, or the repository does not exist/ },
      { status: 410, message: 'Gone', hint: /GitHub Actions is disabled/ },
      { status: 422, message: 'Invalid request.', hint: /Correct the Alert/ },
    ];
    let d: TestSystem;
    beforeAll(async () => {
      d = await openSystem({ env: { ALLOWED_OWNERS: 'Altinn,Absent,Suspended' } });
      d.stub.setInstallations({ suspended: ['Suspended'] });
      d.stub.setFaults([
        ...RETRIED.map(({ code, failures, action }) =>
          fault(action, { repo: `Altinn/${code}`, times: failures }),
        ),
        ...REFUSED.map(({ status, message }) =>
          fault({ status, body: { message } }, { repo: `Altinn/${status}` }),
        ),
        fault({ drop: true, afterHandling: true }, { repo: 'Altinn/unanswered', times: 1 }),
      ]);
    });
    afterAll(() => d[Symbol.asyncDispose]());

    test.each(RETRIED)('$code: is tried again until it goes through', async ({ code, failures }) => {
      const target = { repo: `Altinn/${code}`, event_type: `flux-${code}` };
      const id = await d.post({ dispatch_repo: target.repo, dispatch_event: target.event_type });
      const job = await d.ended(id);
      expect(await job.getState()).toBe('completed');
      expect(dispatchIds(d.sent(target.repo))).toEqual(Array.from({ length: failures + 1 }, () => id));
      expect(d.stub.dispatches.filter(({ repo }) => repo === code)).toHaveLength(1);
      expect(await d.claimTtl(job)).toSatisfy(within(HOUR_MS));

      // GitHub has confirmed neither the repository nor the event type until it takes the dispatch.
      const other = { repo: 'other', event_type: 'other', error_code: code };
      expect(await d.metric('dispatch_errors_total', other)).toBe(failures);
      expect(await d.metric('retries_total', { error_code: code })).toBe(failures);
      expect(await d.metric('dispatches_total', target)).toBe(1);
    });

    // Not beside those above: its error would be counted with theirs.
    test('no answer although GitHub has acted: is sent twice, with the same dispatch_id', {
      concurrent: false,
    }, async () => {
      const id = await d.post({ dispatch_repo: 'Altinn/unanswered' });
      await d.ended(id);
      const received = d.stub.dispatches.filter(({ repo }) => repo === 'unanswered');
      expect(received.map(({ client_payload }) => client_payload['dispatch_id'])).toEqual([id, id]);
    });

    test.each(REFUSED)(
      '$status: is a dead letter at once, with what to do about it',
      async ({ status, message, hint }) => {
        const repo = `Altinn/${status}`;
        const event_type = `flux-${status}`;
        const job = await d.buried(await d.post({ dispatch_repo: repo, dispatch_event: event_type }));
        expect(job.data.hint).toMatch(hint);
        expect(job.failedReason).toMatch(hint);
        expect(job.failedReason).toContain(`GitHub answered ${status}: ${message}`);
        expect(dispatchIds(d.sent(repo))).toEqual([job.data.dispatch_id]);
        // The next event after DEAD_LETTER_COOLDOWN tries again.
        expect(await d.claimTtl(job)).toSatisfy(within(HOUR_MS));

        const error_code = String(status);
        // GitHub has accepted none for it, and never may.
        const labels = { repo: 'other', event_type: 'other' };
        expect(await d.metric('dispatch_errors_total', { ...labels, error_code })).toBe(1);
        expect(await d.metric('dead_letters_total', { ...labels, error_code })).toBe(1);
        expect(await d.metric('retries_total', { error_code })).toBe(0);
      },
    );

    test.each([
      {
        owner: 'Absent',
        state: 'not installed',
        hint: /The GitHub App of flux-dispatch is not installed on Absent/,
      },
      { owner: 'Suspended', state: 'suspended', hint: /is suspended on Suspended\/dialogporten/ },
    ])('the App is $state: is a dead letter at once, with what to do about it', async ({ owner, hint }) => {
      const job = await d.buried(await d.post({ dispatch_repo: `${owner}/dialogporten` }));
      expect(job.failedReason).toMatch(hint);
      expect(d.sent(`${owner}/dialogporten`)).toEqual([]);
      expect(await d.claimTtl(job)).toSatisfy(within(HOUR_MS));
    });

    test.each([
      ['of another version', { version: 2 }, /version/],
      ['of another shape', { to: 'Altinn/dialogporten' }, /version/],
      ['that is nothing', null, /expected object/],
    ])('a job %s is dead, and the worker goes on', async (_, data, reason) => {
      const { id = '' } = await d.queue.add('unreadable', data as unknown as Dispatch);
      const job = await d.buried(id);
      expect(job.data.dispatch).toEqual(data);
      expect(job.failedReason).toMatch(/This version cannot read the job as a dispatch/);
      expect(job.failedReason).toMatch(reason);
      expect(await (await d.ended(await d.post())).getState()).toBe('completed');
    });
  });

  test('that GitHub does not answer within DISPATCH_TIMEOUT is tried again until it goes through', async () => {
    await using d = await openSystem({ env: { DISPATCH_TIMEOUT: '1s' } });
    d.stub.setFaults([fault({ latencyMs: HOUR_MS }, { times: 1 })]);
    const id = await d.post();
    await d.ended(id);
    // On a busy machine other attempts may take too long as well. Each that has counts.
    const retries = await d.metric('retries_total', { error_code: 'timeout' });
    expect(retries).toBeGreaterThan(0);
    expect(await d.metric('dispatch_errors_total', { error_code: 'timeout' })).toBe(retries);
    expect(new Set(dispatchIds(d.sent()))).toEqual(new Set([id]));
    expect(await d.metric('dispatches_total')).toBe(1);
  });

  test.each<
    [string, refuse: (stub: RunningGitHubStub) => Promise<void>, accept: (stub: RunningGitHubStub) => void]
  >([
    [
      "the App's key",
      async stub => {
        await using other = await createCredentials();
        stub.setKeys(other.stub.publicKeys);
      },
      stub => stub.setKeys(credentials.stub.publicKeys),
    ],
    [
      'every token, also after the 6 s that Octokit gives a fresh one',
      async stub => stub.setFaults([fault({ status: 401 })]),
      stub => stub.setFaults([]),
    ],
  ])('is tried again while GitHub refuses %s, and the refusals are counted', async (_, refuse, accept) => {
    await using d = await openSystem();
    await refuse(d.stub);
    const id = await d.post();
    await until('there is an auth error', async () => (await d.metric('github_auth_errors_total')) > 0);
    accept(d.stub);
    expect(await (await d.ended(id)).getState()).toBe('completed');
    expect(d.stub.dispatches).toHaveLength(1);
    const refusals = await d.metric('retries_total', { error_code: '401' });
    expect(refusals).toBeGreaterThan(0);
    expect(await d.metric('github_auth_errors_total')).toBe(refusals);
  });

  test('that a proxy redirects to its sign-in page is not lost, and the log names the page', async () => {
    await using proxy = await startGitHubStub(credentials.stub);
    proxy.setFaults([{ action: { status: 200, body: '<html>Sign in</html>' } }]);
    await using d = await openSystem();
    d.stub.setFaults([fault({ status: 302, headers: { location: `${proxy.url}/login` } }, { times: 1 })]);
    const id = await d.post();
    expect(await (await d.ended(id)).getState()).toBe('completed');
    expect(dispatchIds(d.sent())).toEqual([id, id]);
    expect(d.stub.dispatches).toHaveLength(1);
    expect(proxy.requests.size).toBe(0);
    expect(await d.metric('retries_total', { error_code: 'network' })).toBe(1);
    const retries = d.system.dispatchers[0]?.process.log().filter(line => line['outcome'] === 'retry');
    expect(retries).toMatchObject([{ error: expect.stringContaining(proxy.url) }]);
  });

  test('with half of a surrogate pair is sent without it, and dies without it', async () => {
    await using d = await openSystem();
    const queued = async (repo: string) => {
      const dispatch = testDispatch({ repo });
      dispatch.payload.message = 'half of \ud83d';
      const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
      await d.queue.add(name, data, opts);
      return dispatch;
    };
    const { payload } = await queued('Altinn/dialogporten');
    await d.ended(payload.dispatch_id);
    expect(d.stub.dispatches).toMatchObject([{ client_payload: { message: 'half of \ufffd' } }]);

    d.stub.setRepositories({ absent: ['Altinn/gone'] });
    const gone = await queued('Altinn/gone');
    const letter = await d.buried(gone.payload.dispatch_id);
    expect(letter.data.dispatch).toMatchObject({ payload: { message: 'half of \ufffd' } });
  });

  test.each<[string, 'primary' | 'secondary', number, (reset: number) => Record<string, string>]>([
    ['403 with Retry-After', 'secondary', 403, () => ({ 'retry-after': '1' })],
    ['429 with Retry-After', 'secondary', 429, () => ({ 'retry-after': '1' })],
    [
      '403 with nothing left until x-ratelimit-reset',
      'primary',
      403,
      reset => ({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${reset}` }),
    ],
  ])('%s: waits with the whole queue, which uses up no attempt', async (_, kind, status, headers) => {
    await using d = await openSystem();
    const reset = Math.ceil(Date.now() / 1000) + 2;
    d.stub.setFaults([fault({ status, headers: headers(reset) }, { times: 1 })]);
    const limited = await d.post();
    await until('the queue pauses', async () => (await d.metric('rate_limited_total', { kind })) === 1);
    const other = await d.post({ dispatch_repo: 'Altinn/correspondence' });
    for (const id of [limited, other]) {
      const job = await d.ended(id);
      expect(await job.getState()).toBe('completed');
      expect(job.attemptsMade).toBe(1);
    }
    const [refused, ...afterwards] = d.sent();
    expect(afterwards).toHaveLength(2);
    const over = kind === 'primary' ? reset * 1000 : (refused?.at ?? 0) + 1000;
    for (const { at } of afterwards) expect(at).toBeGreaterThanOrEqual(over);
    for (const name of ['retries_total', 'dispatch_errors_total']) expect(await d.metric(name)).toBe(0);
  });

  test('older than DISPATCH_RETRY_WINDOW still gets one attempt, and is a dead letter if that fails', async () => {
    await using d = await openSystem({ dispatchers: 0, env: { DISPATCH_RETRY_WINDOW: '1s' } });
    const old = await d.post();
    const postedAt = Date.now();
    await until('it is older than the window', () => Date.now() - postedAt > 1000);
    await d.system.startDispatcher();
    expect(await (await d.ended(old)).getState()).toBe('completed');

    d.stub.setFaults([fault({ status: 503 })]);
    const job = await d.buried(await d.post({ dispatch_repo: 'Altinn/failing' }));
    expect(job.failedReason).toMatch(/503.*DISPATCH_RETRY_WINDOW/);
    expect(Date.parse(job.data.last_died_at) - job.data.run).toBeGreaterThan(1000);
    expect(await d.claimTtl(job)).toSatisfy(within(HOUR_MS));
    const retries = await d.metric('retries_total', { error_code: '503' });
    expect(d.sent('Altinn/failing')).toHaveLength(1 + retries);
    expect(await d.metric('queue_jobs', { queue: 'dispatch-dead-letter', state: 'failed' })).toBe(1);
  });

  test('to an owner that the dispatcher does not allow is refused without a call: the queue is not trusted', async () => {
    await using d = await openSystem({ dispatchers: 0, env: { ALLOWED_OWNERS: 'Altinn,Digdir' } });
    await d.system.startDispatcher({ ALLOWED_OWNERS: 'Altinn' });
    const job = await d.buried(await d.post({ dispatch_repo: 'Digdir/roadmap' }));
    expect(job.failedReason).toMatch(/the same ALLOWED_OWNERS/);
    expect(await (await d.ended(await d.post())).getState()).toBe('completed');
    expect(d.proxy.requests.filter(({ path }) => /digdir/i.test(path))).toEqual([]);
    expect(await d.metric('dispatch_errors_total', { error_code: 'internal' })).toBe(1);
  });

  test('goes to the installation that GITHUB_INSTALLATION_ID says, without a look-up', async () => {
    await using d = await openSystem({ env: { GITHUB_INSTALLATION_ID: String(OWNERS.Altinn) } });
    for (const id of [await d.post(), await d.post()]) await d.ended(id);
    const dispatch = '/repos/Altinn/dialogporten/dispatches';
    const paths = d.proxy.requests.map(({ path }) => path);
    expect(paths).toEqual(['/app/installations/1001/access_tokens', dispatch, dispatch]);
  });

  test.each([
    ['with the App configured', {}],
    ['which needs no App', { GITHUB_APP_ID: '', GITHUB_PRIVATE_KEY_PATH: '' }],
  ])('is counted and settled with DRY_RUN=true, %s, but not sent', async (_, env) => {
    await using d = await openSystem({ dispatchers: 0 });
    await d.system.startDispatcher({ DRY_RUN: 'true', ...env });
    const job = await d.ended(await d.post());
    expect(await job.getState()).toBe('completed');
    expect(await d.claimTtl(job)).toSatisfy(within(HOUR_MS));
    expect(d.proxy.requests).toEqual([]);
    const labels = { repo: 'other', event_type: 'other', reason: 'ReconciliationSucceeded' };
    expect(await d.metric('dryrun_dispatches_total', labels)).toBe(1);
    expect(await d.metric('dispatches_total')).toBe(0);
  });

  test('under way at SIGTERM is finished, and those that wait are left to another dispatcher', async () => {
    await using d = await openSystem({ env: { DISPATCH_CONCURRENCY: '1' } });
    const release = d.proxy.hold();
    const ids = [await d.post(), await d.post(), await d.post()];
    await until('the first is under way', () => d.proxy.requests.length === 1);
    const jobs = (state: string) => d.metric('queue_jobs', { queue: 'dispatch', state });
    expect([await jobs('active'), await jobs('waiting')]).toEqual([1, 2]);
    expect(await d.metric('queue_oldest_waiting_seconds', { queue: 'dispatch' })).toBeGreaterThan(0);

    const { process, opsUrl } = d.system.dispatchers[0] ?? expect.fail();
    process.signal('SIGTERM');
    await until('it is not ready', async () => (await fetch(`${opsUrl}/readyz`)).status === 503);
    release();
    expect(await process.exited).toEqual({ code: 0, signal: null });
    expect(d.stub.dispatches).toHaveLength(1);
    const first = await d.ended(ids[0] ?? '');
    expect(await first.getState()).toBe('completed');
    expect(await d.claimTtl(first)).toSatisfy(within(HOUR_MS));
    expect(await d.queue.getPrioritizedCount()).toBe(2);

    await d.system.startDispatcher();
    for (const id of ids) await d.ended(id);
    expect(dispatchIds(d.sent())).toEqual(ids);
  });
});
