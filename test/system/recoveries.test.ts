import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { UNHURRIED } from '../support/unhurried.ts';

const resources = new AsyncDisposableStack();
let credentials: Credentials;
let github: Awaited<ReturnType<typeof startGitHubStub>>;
let system: System;

beforeAll(async () => {
  credentials = resources.use(await createCredentials());
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
const at = (minute: number) => new Date(START + minute * 60_000).toISOString().replace('.000Z', 'Z');
let objects = 0;
let posts = 0;

/** The Alerts of a product team. */
const ALERTS = ['flux-deploy', 'flux-deploy-failed', 'flux-deploy-recovered'] as const;
type AlertName = (typeof ALERTS)[number];

/** A Kustomization with a repository of its own, whose events go to each of its Alerts. */
function kustomization() {
  const name = `object-${++objects}`;
  const repo = `Altinn/recoveries-${objects}`;

  async function report(minute: number, alert: AlertName, reason: string) {
    const { eventsUrl } = system.ingests[posts++ % 2] ?? { eventsUrl: '' };
    const isFailure = reason.endsWith('Failed');
    const event = fluxEvent({
      ...{ name, reason, severity: isFailure ? 'error' : 'info', timestamp: new Date(at(minute)) },
      metadata: { dispatch_repo: repo, dispatch_event: alert, revision: ociRevision('at23', 'a') },
    });
    return (await postEvent(eventsUrl, event, credentials.token)).body;
  }
  /** What GitHub has received, in its order. */
  const received = () =>
    github.dispatches
      .filter(({ client_payload }) => client_payload['kustomization_name'] === name)
      .map(({ event_type, client_payload }) => {
        const { reason, flux } = client_payload as { reason: string; flux: Record<string, unknown> };
        return { event_type, reason, class: flux['class'], outage: flux['outage'] };
      });
  return {
    ...{ repo, report, received },
    /** Reports an event through the Alerts, in this order, and returns what was not a plain refusal. */
    async reported(minute: number, reason: string, order: readonly AlertName[] = ALERTS) {
      const enqueued: string[] = [];
      for (const alert of order) {
        const { outcome } = await report(minute, alert, reason);
        if (outcome !== 'not_routed') enqueued.push(`${alert}: ${outcome}`);
      }
      return enqueued.toSorted();
    },
    arrived: (count: number) =>
      until(`${count} dispatches of ${name} are at GitHub`, () => received().length >= count && received()),
  };
}

const SUCCESS = 'ReconciliationSucceeded';
const orders = ALERTS.flatMap(first =>
  ALERTS.filter(second => second !== first).map(second => {
    const third = ALERTS.find(alert => alert !== first && alert !== second) ?? first;
    return [first, second, third] as const;
  }),
);

test.each(orders)(
  'deployed, failed twice, recovered and failed again, through %s, %s and %s',
  async (...order) => {
    const app = kustomization();
    expect(await app.reported(0, SUCCESS, order)).toEqual(['flux-deploy: enqueued']);
    await app.arrived(1);
    expect(await app.reported(1, 'BuildFailed', order)).toEqual(['flux-deploy-failed: enqueued']);
    await app.arrived(2);
    expect(await app.reported(2, 'HealthCheckFailed', order)).toEqual(['flux-deploy-failed: enqueued']);
    expect(await app.reported(3, 'BuildFailed', order)).toEqual(['flux-deploy-failed: duplicate']);
    const [, failed, again] = await app.arrived(3);
    expect(failed).toMatchObject({ class: 'failure', reason: 'BuildFailed' });
    expect(again).toMatchObject({ class: 'failure', reason: 'HealthCheckFailed', outage: failed?.outage });
    const outage = failed?.outage as { id: string };
    expect(outage).toEqual({ id: expect.any(String), since: at(1) });

    expect(await app.reported(4, SUCCESS, order)).toEqual([
      'flux-deploy-recovered: enqueued',
      'flux-deploy: duplicate',
    ]);
    expect((await app.arrived(4))[3]).toEqual({
      ...{ event_type: 'flux-deploy-recovered', reason: SUCCESS, class: 'recovery' },
      outage: { ...outage, duration_seconds: 180 },
    });
    // The next interval.
    expect(await app.reported(14, SUCCESS, order)).toEqual([
      'flux-deploy-recovered: duplicate',
      'flux-deploy: duplicate',
    ]);

    expect(await app.reported(20, 'BuildFailed', order)).toEqual(['flux-deploy-failed: enqueued']);
    const [next] = (await app.arrived(5)).slice(4);
    expect(next?.outage).toEqual({ id: expect.any(String), since: at(20) });
    expect(next?.outage).not.toMatchObject({ id: outage.id });
    expect(await app.reported(21, SUCCESS, order)).toContain('flux-deploy-recovered: enqueued');
    expect((await app.arrived(6))[5]).toMatchObject({ class: 'recovery', outage: next?.outage });
  },
);

test('an object that has never failed, or in the same second, has not recovered', async () => {
  const app = kustomization();
  expect(await app.report(0, 'flux-deploy-recovered', SUCCESS)).toEqual({
    ...{ outcome: 'not_routed', message: expect.stringMatching(/^there was nothing to recover from/) },
    dispatches: [{ repo: app.repo, outcome: 'not_routed', message: expect.any(String) }],
  });
  await app.reported(1, 'BuildFailed');
  await app.arrived(1);
  expect(await app.reported(1, SUCCESS)).toEqual(['flux-deploy: enqueued']);
  expect(await app.reported(2, SUCCESS)).toContain('flux-deploy-recovered: enqueued');
});

test('a recovery comes after the failure that is at GitHub when the object recovers', async () => {
  const app = kustomization();
  // Longer than it takes the recovery to overtake it, if it could.
  const slowly = { match: { repo: app.repo }, action: { latencyMs: 5000 } } as const;
  github.setFaults([slowly]);
  await app.reported(1, 'BuildFailed');
  await until('the failure is at GitHub', () => github.faults().every(({ applied }) => applied > 0));
  const recovered = await app.report(2, 'flux-deploy-recovered', SUCCESS);
  expect(recovered.outcome).toBe('enqueued');
  github.setFaults([]);
  expect(recovered.dispatch_id).toEqual(expect.any(String));
  const [failed, recovery] = await app.arrived(2);
  expect([failed?.class, recovery?.class]).toEqual(['failure', 'recovery']);
  expect(recovery?.outage).toMatchObject(failed?.outage ?? {});
});

test('an outage that GitHub has never heard of has no recovery', async () => {
  const app = kustomization();
  github.setFaults([{ match: { repo: app.repo }, action: { status: 503 } }]);
  const { dispatch_id } = await app.report(1, 'flux-deploy-failed', 'BuildFailed');
  const ended = (outcome: string) =>
    until(`it ends as ${outcome}`, () =>
      system.dispatchers
        .flatMap(({ process }) => process.log())
        .some(line => line['dispatch_id'] === dispatch_id && line['outcome'] === outcome),
    );
  await ended('retry');
  expect(await app.reported(2, SUCCESS)).toContain('flux-deploy: enqueued');
  await ended('superseded');
  github.setFaults([]);
  await app.arrived(1);
  expect(await app.reported(3, SUCCESS)).toEqual(['flux-deploy: duplicate']);
  expect(app.received().map(each => each.class)).toEqual(['success']);
});
