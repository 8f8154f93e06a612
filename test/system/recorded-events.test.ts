import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { type IngestAnswer, postSigned } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';
import { type Fixture, loadFixtures } from '../support/recorded-events.ts';
import { UNHURRIED } from '../support/unhurried.ts';

const STATUS: Readonly<Record<string, number>> = {
  enqueued: 202,
  duplicate: 200,
  rate_limited: 200,
  ignored_reason: 200,
  not_routed: 200,
  missing_dispatch_repo: 422,
  invalid_dispatch_repo: 422,
  invalid_dispatch_event: 422,
  invalid_payload: 400,
};

test('every real event gets its outcome, and GitHub receives exactly the enqueued ones', async () => {
  const { token, events } = loadFixtures('flux-events');
  await using credentials = await createCredentials(token);
  await using stub = await startGitHubStub(credentials.stub);
  await using system = await startSystem({
    redisUrl: inject('redisUrl'),
    githubUrl: stub.url,
    credentials,
    env: { ...UNHURRIED, DEPENDENCY_GRACE: '0s' },
  });
  const url = system.ingests[0]?.eventsUrl ?? '';

  const answers: { event: Fixture; answer: IngestAnswer }[] = [];
  for (const event of events) {
    answers.push({ event, answer: await postSigned(url, event.body, event.signature) });
    // A failure that still waited when its object recovers would not be sent.
    const wanted = answers.filter(({ answer }) => answer.status === 202).length;
    await until('it is at GitHub', () => stub.dispatches.length === wanted);
  }
  expect(answers.map(({ event, answer }) => [event.file, answer.status, answer.body.outcome])).toEqual(
    events.map(event => [event.file, STATUS[event.outcome], event.outcome]),
  );

  const enqueued = answers.filter(({ answer }) => answer.body.outcome === 'enqueued');
  const received = new Map(
    stub.dispatches.map(dispatch => [dispatch.client_payload?.['dispatch_id'], dispatch]),
  );
  for (const { event, answer } of enqueued) {
    const { owner, repo, event_type, client_payload } = received.get(answer.body.dispatch_id) ?? {};
    expect({ repo: `${owner}/${repo}`, event_type, client_payload }, event.file).toEqual(
      expectedDispatch(JSON.parse(event.body.toString()), answer.body.dispatch_id),
    );
  }
});

/** SPEC section 4, written down independently of the code. */
function expectedDispatch(event: FixtureEvent, dispatchId: string | undefined) {
  const metadata = Object.fromEntries(
    Object.entries(event.metadata).map(([key, value]) => [
      key.replace('kustomize.toolkit.fluxcd.io/', ''),
      value,
    ]),
  );
  const { product, env, dispatch_repo, dispatch_event, revision, originRevision, ...rest } = metadata;
  const { kind, namespace, name } = event.involvedObject;
  const isSuccess =
    /^(Reconciliation|Install|Upgrade)Succeeded$/.test(event.reason) && event.severity === 'info';
  return {
    repo: dispatch_repo,
    event_type: dispatch_event ?? 'flux-deploy',
    client_payload: {
      product: product ?? namespace,
      environment: env,
      commit_sha: /(?:sha1:|\/)([0-9a-f]{40})$/.exec(originRevision ?? revision ?? '')?.[1] ?? '',
      revision: revision ?? '',
      kustomization_name: name,
      reason: event.reason,
      message: event.message.slice(0, 1024),
      dispatch_id: dispatchId,
      flux: {
        kind,
        namespace,
        name,
        severity: event.severity,
        timestamp: event.timestamp,
        class: isSuccess ? 'success' : 'failure',
        origin_revision: originRevision ?? '',
        cluster: '',
        controller: event.reportingController,
        metadata: rest,
        ...(!isSuccess && { outage: { id: expect.any(String), since: expect.stringMatching(/:\d\dZ$/) } }),
      },
    },
  };
}

interface FixtureEvent {
  readonly involvedObject: Record<'kind' | 'namespace' | 'name', string>;
  readonly severity: string;
  readonly timestamp: string;
  readonly reason: string;
  readonly message: string;
  readonly reportingController: string;
  readonly metadata: Record<string, string>;
}
