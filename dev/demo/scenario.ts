import { commitSha, fluxEvent, ociRevision } from '@flux-dispatch/testbed/flux';

/** An event that Flux would send, and what is to become of it. */
export interface Step {
  readonly title: string;
  readonly body: Buffer;
  readonly expected: {
    readonly status: number;
    readonly outcome: string;
    /** Whether GitHub is to receive a dispatch. */
    readonly dispatched: boolean;
  };
}

const ALERT = {
  product: 'dialogporten',
  env: 'at23',
  dispatch_repo: 'Altinn/dialogporten',
  dispatch_event: 'flux-deploy',
};

function artifact(name: string) {
  return { revision: ociRevision('at23', name), originRevision: `main@sha1:${commitSha(name)}` };
}

const DISPATCHED = { status: 202, outcome: 'enqueued', dispatched: true };

/** A day in the life of a product in a cluster, in the order in which its events arrive. */
export function story(now: Date, cluster: string): readonly Step[] {
  const alert = { ...ALERT, cluster };
  const failureAlert = { ...alert, dispatch_event: 'flux-deploy-failed' };
  const at = (minutes: number) => new Date(now.getTime() + (minutes - 60) * 60_000);
  return [
    {
      title: 'A deploy',
      body: fluxEvent({ timestamp: at(0), metadata: { ...alert, ...artifact('v1') } }),
      expected: DISPATCHED,
    },
    {
      title: 'The same deploy, reconciled again ten minutes later',
      body: fluxEvent({
        timestamp: at(10),
        message: 'Reconciliation finished in 953ms, next run in 10m0s',
        metadata: { ...alert, ...artifact('v1') },
      }),
      expected: { status: 200, outcome: 'duplicate', dispatched: false },
    },
    {
      title: 'A new artifact',
      body: fluxEvent({ timestamp: at(15), metadata: { ...alert, ...artifact('v2') } }),
      expected: DISPATCHED,
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
      expected: DISPATCHED,
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
      expected: DISPATCHED,
    },
    {
      title: 'An Alert with a repository of somebody else',
      body: fluxEvent({
        timestamp: at(30),
        metadata: { ...alert, ...artifact('v2'), dispatch_repo: 'Evil/repo' },
      }),
      expected: { status: 422, outcome: 'invalid_dispatch_repo', dispatched: false },
    },
  ];
}

/** One more deploy, for the reader to send. */
export function nextDeploy(now: Date): Buffer {
  return fluxEvent({ timestamp: now, metadata: { ...ALERT, ...artifact(`v-${now.getTime()}`) } });
}
