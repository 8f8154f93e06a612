import type { Random } from './random.ts';

/*
 * What the controllers really say (recorded, and from their sources), with what they compose at run time: durations,
 * release versions, the order of a Go map, temporary folders, ephemeral ports.
 */

const seconds = (random: Random) => `${random.int(0, 59)}.${random.int(1, 999_999_999)}s`;
const port = (random: Random) => random.int(32_768, 60_999);

export function reconciled(random: Random, next: string): string {
  return `Reconciliation finished in ${seconds(random)}, next run in ${next}`;
}

export function deleted(random: Random): string {
  return `${random.pick(['ConfigMap', 'Deployment'])}/product/app deleted`;
}

/** The failures of a Kustomization with a revision, by reason. */
export const KUSTOMIZATION_FAILURES: Readonly<Record<string, (random: Random) => string>> = {
  HealthCheckFailed: random => `health check failed after ${seconds(random)}: ${unready(random)}`,
  BuildFailed: random => {
    const folder = `/tmp/kustomization-${random.int(1e8, 4e9)}`;
    return `kustomize build failed: accumulating resources: open ${folder}/apps/gone.yaml: no such file or directory`;
  },
  ReconciliationFailed: random =>
    `Deployment/product/app dry-run failed: Internal error occurred: failed calling webhook: Post "https://10.0.0.1:443/": read tcp 10.244.1.7:${port(random)}->10.0.0.1:443: i/o timeout`,
  PruneFailed: random => `delete failed, errors: timed out after ${seconds(random)}`,
};

export const HELM_FAILURES: Readonly<Record<string, (random: Random, version: number) => string>> = {
  UpgradeFailed: random =>
    `Helm upgrade failed for release product/app with chart app@1.4.2: ${unready(random)}\n\nLast Helm logs:\n\n${seconds(random)}: performing update`,
  RollbackSucceeded: (_random, version) =>
    `Helm rollback to previous release product/app.v${version} with chart app@1.4.2 succeeded`,
  TestFailed: (_random, version) =>
    `Helm test failed for release product/app.v${version} with chart app@1.4.2: 1 error`,
};

/** The failures that carry no revision. */
export const FAILURES_WITHOUT_REVISION: Readonly<Record<string, (random: Random) => string>> = {
  ArtifactFailed: random =>
    `failed to download archive: dial tcp: lookup source-controller: read udp 10.244.1.7:${port(random)}->10.96.0.10:53: i/o timeout`,
  AccessDenied: () =>
    "can't access 'GitRepository/flux-system/apps', cross-namespace references have been blocked",
};

function unready(random: Random): string {
  const resources = ['Deployment/product/api', 'Deployment/product/web', 'StatefulSet/product/db'];
  const listed = random.shuffle(resources).map(name => `${name} status: 'InProgress'`);
  return `timeout waiting for: [${listed.join(', ')}]`;
}
