import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import {
  type EventOptions,
  fluxEvent,
  ociRevision,
  postEvent,
  postSigned,
} from '@flux-dispatch/testbed/flux';
import { readMetric } from '@flux-dispatch/testbed/metrics';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { loadFixtures } from '../support/recorded-events.ts';
import { UNHURRIED } from '../support/unhurried.ts';

const { token, events } = loadFixtures('flux-streams');
const resources = new AsyncDisposableStack();
let credentials: Credentials;
let github: Awaited<ReturnType<typeof startGitHubStub>>;
let system: System;

beforeAll(async () => {
  credentials = resources.use(await createCredentials(token));
  github = resources.use(await startGitHubStub(credentials.stub));
  system = resources.use(
    await startSystem({
      ...{ redisUrl: inject('redisUrl'), githubUrl: github.url, credentials },
      ...{ ingests: 2, dispatchers: 2, env: UNHURRIED },
    }),
  );
});
afterAll(() => resources.disposeAsync());

const START = Date.parse('2026-03-05T12:00:00Z');
let objects = 0;

/** An object of its own, whose events are sent to both replicas in turn. */
function object() {
  const name = `object-${++objects}`;
  let sent = 0;
  const send = async (minute: number, options: EventOptions, metadata: Record<string, string>) => {
    const timestamp = new Date(START + minute * 60_000);
    const event = fluxEvent({
      ...{ name, timestamp },
      ...options,
      metadata: { dispatch_repo: 'Altinn/streams', env: 'at23', ...metadata },
    });
    const { eventsUrl } = system.ingests[sent++ % 2] ?? { eventsUrl: '' };
    return (await postEvent(eventsUrl, event, token)).body.outcome;
  };
  return {
    name,
    deploy: (minute: number, artifact: string, metadata: Record<string, string> = {}) =>
      send(
        minute,
        {},
        { dispatch_event: 'flux-deploy', revision: ociRevision('at23', artifact), ...metadata },
      ),
    fail: (
      minute: number,
      artifact: string,
      options: EventOptions = {},
      metadata: Record<string, string> = {},
    ) =>
      send(
        minute,
        { severity: 'error', reason: 'HealthCheckFailed', message: 'health check failed', ...options },
        { dispatch_event: 'flux-deploy-failed', revision: ociRevision('at23', artifact), ...metadata },
      ),
    /** The event types that GitHub has received for it. */
    dispatched: () =>
      github.dispatches
        .filter(({ client_payload }) => client_payload?.['kustomization_name'] === name)
        .map(({ event_type }) => event_type),
  };
}

test('the recorded sequence: deploys, outages, a rollback, and an event that arrives late', async () => {
  const outcomes: (readonly [string, string])[] = [];
  for (const [index, event] of events.entries()) {
    const { eventsUrl } = system.ingests[index % 2] ?? { eventsUrl: '' };
    const answer = await postSigned(eventsUrl, event.body, event.signature);
    outcomes.push([event.file, answer.body.outcome]);
    const wanted = outcomes.filter(([, outcome]) => outcome === 'enqueued').length;
    await until('it is at GitHub', () => {
      const names = github.dispatches.map(({ client_payload }) => client_payload?.['kustomization_name']);
      return names.filter(name => name === 'dialogporten-apps').length === wanted;
    });
  }
  expect(outcomes).toEqual(events.map(({ file, outcome }) => [file, outcome]));
});

describe('successes', () => {
  test('A, B and back to A are three dispatches, also while the first still waits', async () => {
    github.setFaults([{ match: { repo: 'Altinn/streams' }, action: { status: 503 } }]);
    const app = object();
    expect(await app.deploy(0, 'A')).toBe('enqueued');
    expect(await app.deploy(1, 'B')).toBe('enqueued');
    expect(await app.deploy(2, 'A')).toBe('enqueued');
    expect(await app.deploy(3, 'A')).toBe('duplicate');
    github.setFaults([]);
    await until('all three are at GitHub', () => app.dispatched().length === 3);
  });

  test('what is strictly older than the newest of its stream is stale; the same second is not', async () => {
    const app = object();
    expect(await app.deploy(5, 'A')).toBe('enqueued');
    expect(await app.deploy(4, 'B')).toBe('stale');
    expect(await app.deploy(5, 'C')).toBe('enqueued');
    // Another event type is another stream.
    expect(await app.deploy(4, 'B', { dispatch_event: 'flux-other' })).toBe('enqueued');
  });

  test('a repeat does not change the time of the newest', async () => {
    const app = object();
    expect(await app.deploy(0, 'A')).toBe('enqueued');
    expect(await app.deploy(10, 'A')).toBe('duplicate');
    expect(await app.deploy(5, 'B')).toBe('enqueued');
  });

  test('a timestamp of the future counts as the time of arrival', async () => {
    const app = object();
    const tomorrow = (Date.now() + 86_400_000 - START) / 60_000;
    expect(await app.deploy(tomorrow, 'A')).toBe('enqueued');
    expect(await app.deploy(tomorrow + 1, 'B')).toBe('enqueued');
    const now = () => (Date.now() - START) / 60_000;
    expect(await app.deploy(now() - 1, 'C')).toBe('stale');
    // So old is no event that Flux has sent late: its clock differs.
    expect(await app.deploy(now() - 5, 'C')).toBe('enqueued');
  });
});

describe('failures', () => {
  test('twenty retries of an upgrade that alternate between two reasons are two dispatches', async () => {
    const app = object();
    const outcomes: string[] = [];
    for (let minute = 0; minute < 20; minute++) {
      const reason = minute % 2 === 0 ? 'UpgradeFailed' : 'RollbackSucceeded';
      outcomes.push(await app.fail(minute, 'A', { reason }));
    }
    expect(outcomes.filter(outcome => outcome === 'enqueued')).toHaveLength(2);
    expect(outcomes.filter(outcome => outcome === 'duplicate')).toHaveLength(18);
  });

  test('a success, new or repeated, re-arms those strictly older', async () => {
    const app = object();
    expect(await app.deploy(0, 'A')).toBe('enqueued');
    expect(await app.fail(1, 'A')).toBe('enqueued');
    expect(await app.fail(2, 'A')).toBe('duplicate');
    // One that still waited would be superseded by the recovery.
    await until('the failure is at GitHub', () => app.dispatched().length === 2);
    // A recovery is no new deployment.
    expect(await app.deploy(3, 'A')).toBe('duplicate');
    // Reported late, it is still the old outage.
    expect(await app.fail(2, 'A')).toBe('duplicate');
    expect(await app.fail(4, 'A')).toBe('enqueued');
    await until('all are at GitHub', () => app.dispatched().length === 3);
  });

  test('a success towards another repository re-arms none', async () => {
    const app = object();
    expect(await app.fail(1, 'A')).toBe('enqueued');
    expect(await app.deploy(2, 'A', { dispatch_repo: 'Altinn/elsewhere' })).toBe('enqueued');
    expect(await app.fail(3, 'A')).toBe('duplicate');
  });

  test('one that still waits when its object has recovered is superseded: counted, not sent', async () => {
    const superseded = () => total(system, 'flux_dispatch_superseded_total');
    const before = await superseded();
    const tried = retried().size;
    github.setFaults([{ match: { repo: 'Altinn/streams' }, action: { status: 503 } }]);
    const app = object();
    expect(await app.fail(1, 'A')).toBe('enqueued');
    expect(await app.fail(5, 'A', { reason: 'BuildFailed' })).toBe('enqueued');
    await until('both have been tried', () => retried().size >= tried + 2);
    expect(await app.deploy(5, 'A')).toBe('enqueued');
    github.setFaults([]);
    // The second is of the same second as the success, so it stands.
    await until('what stands is at GitHub', () => app.dispatched().length === 2);
    expect([...app.dispatched()].sort()).toEqual(['flux-deploy', 'flux-deploy-failed']);
    await until('it is counted', async () => (await superseded()) === before + 1);
    // Its claim has ended, so the next outage is dispatched.
    expect(await app.fail(6, 'A')).toBe('enqueued');
  });
});

/** The ids of the dispatches of which an attempt has failed. */
function retried(): Set<unknown> {
  const lines = system.dispatchers.flatMap(({ process }) => process.log());
  return new Set(lines.filter(({ outcome }) => outcome === 'retry').map(({ dispatch_id }) => dispatch_id));
}

async function total(running: System, name: string): Promise<number> {
  const values = await Promise.all(running.dispatchers.map(({ opsUrl }) => readMetric(opsUrl, name)));
  return values.reduce((sum, value) => sum + value, 0);
}
