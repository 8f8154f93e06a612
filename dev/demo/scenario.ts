import { commitSha, fluxEvent, ociRevision } from '@flux-dispatch/testbed/flux';

/** An event that Flux would send, and what should happen to it. */
export interface ScenarioEvent {
  readonly title: string;
  readonly body: Buffer;
  readonly expected: {
    readonly status: number;
    readonly outcome: string;
    /** How the workflow run ends that GitHub starts for the dispatch; undefined where it should receive none. */
    readonly run: 'success' | 'failure' | 'none' | undefined;
  };
}

/** The `eventMetadata` of the Alerts. */
export const ALERT = {
  product: 'dialogporten',
  env: 'at23',
  dispatch_repo: 'Altinn/dialogporten',
  dispatch_event: 'flux-deploy',
};

/** The revisions that an event has when Flux deployed an artifact with this content. */
export function artifact(content: string) {
  return { revision: ociRevision('at23', content), originRevision: `main@sha1:${commitSha(content)}` };
}

/** The dispatch is accepted, and its workflow run ends so. */
const dispatched = (run: 'success' | 'failure' | 'none') => ({ status: 202, outcome: 'enqueued', run });

/** The events of an hour in one cluster, in the order in which they arrive. */
export function scenario(now: Date, cluster: string): readonly ScenarioEvent[] {
  const alert = { ...ALERT, cluster };
  const failureAlert = { ...alert, dispatch_event: 'flux-deploy-failed' };
  const at = (minutes: number) => new Date(now.getTime() + (minutes - 60) * 60_000);
  return [
    {
      title: 'A deploy',
      body: fluxEvent({ timestamp: at(0), metadata: { ...alert, ...artifact('v1') } }),
      expected: dispatched('success'),
    },
    {
      title: 'The same deploy, reconciled again ten minutes later',
      body: fluxEvent({
        timestamp: at(10),
        message: 'Reconciliation finished in 953ms, next run in 10m0s',
        metadata: { ...alert, ...artifact('v1') },
      }),
      expected: { status: 200, outcome: 'duplicate', run: undefined },
    },
    {
      title: 'A new artifact',
      body: fluxEvent({ timestamp: at(15), metadata: { ...alert, ...artifact('v2') } }),
      expected: dispatched('success'),
    },
    {
      title: 'A build that failed',
      body: fluxEvent({
        timestamp: at(20),
        severity: 'error',
        reason: 'BuildFailed',
        message: "kustomize build failed: accumulating resources from 'deploy.yaml': <nil>",
        metadata: { ...failureAlert, ...artifact('v3') },
      }),
      expected: dispatched('success'),
    },
    {
      title: 'A Helm upgrade',
      body: fluxEvent({
        kind: 'HelmRelease',
        namespace: 'product-correspondence',
        name: 'correspondence',
        timestamp: at(25),
        reason: 'UpgradeSucceeded',
        message:
          'Helm upgrade succeeded for release product-correspondence/correspondence.v6 with chart correspondence@1.4.2',
        metadata: {
          product: 'correspondence',
          env: 'tt02',
          cluster,
          dispatch_repo: 'Altinn/altinn-correspondence',
          revision: '1.4.2',
        },
      }),
      expected: dispatched('failure'),
    },
    {
      title: 'A deploy with an event type that no workflow listens to',
      body: fluxEvent({
        name: 'dialogporten-jobs',
        timestamp: at(28),
        metadata: { ...alert, ...artifact('v2'), dispatch_event: 'flux-deployed' },
      }),
      expected: dispatched('none'),
    },
    {
      title: 'An Alert that names a repository of another owner',
      body: fluxEvent({
        timestamp: at(30),
        metadata: { ...alert, ...artifact('v2'), dispatch_repo: 'Evil/repo' },
      }),
      expected: { status: 422, outcome: 'invalid_dispatch_repo', run: undefined },
    },
  ];
}
