/**
 * Writes schemas.json, the schemas of what the chart and docs/flux/ hold, so that the tests need no network:
 *
 *   node test/helm/update-schemas.ts <swagger.json of Kubernetes> <CustomResourceDefinition.yaml>…
 *
 * The sources are api/openapi-spec/swagger.json of kubernetes/kubernetes, example/prometheus-operator-crd/ of
 * prometheus-operator/prometheus-operator, and config/crd/bases/ of fluxcd's notification-, source- and helm-controller.
 * Their licence is Apache 2.0; descriptions are left out.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';

type Schema = { [key: string]: unknown };

const BUILT_IN = [
  'io.k8s.api.apps.v1.Deployment',
  'io.k8s.api.apps.v1.StatefulSet',
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler',
  'io.k8s.api.core.v1.ConfigMap',
  'io.k8s.api.core.v1.Namespace',
  'io.k8s.api.core.v1.Pod',
  'io.k8s.api.core.v1.Secret',
  'io.k8s.api.core.v1.Service',
  'io.k8s.api.core.v1.ServiceAccount',
  'io.k8s.api.networking.v1.Ingress',
  'io.k8s.api.networking.v1.NetworkPolicy',
  'io.k8s.api.policy.v1.PodDisruptionBudget',
];
/**
 * Azure Monitor's managed Prometheus has an older copy of the operator's PodMonitor in a group of its own. The chart uses
 * what both have.
 */
const COPIES = { 'azmonitoring.coreos.com/v1/PodMonitor': 'monitoring.coreos.com/v1/PodMonitor' };
const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

const [swaggerPath, ...definitionPaths] = process.argv.slice(2);
if (swaggerPath === undefined) throw new Error('Usage: see the head of this file');
const { definitions: all } = JSON.parse(await readFile(swaggerPath, 'utf8')) as {
  definitions: Record<string, Schema>;
};

/** As the API server has it with strict field validation: an unknown field is an error. */
function strict(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(strict);
  if (typeof value !== 'object' || value === null) return value;
  const schema = value as Schema;
  // A property may be called description; a keyword's value is a text.
  const kept = Object.entries(schema).filter(
    ([key, inner]) =>
      !(key === 'description' && typeof inner === 'string') && !key.startsWith('x-kubernetes-g'),
  );
  const result = Object.fromEntries(kept.map(([key, inner]) => [key, strict(inner)]));
  if (result['x-kubernetes-int-or-string'] || result['format'] === 'int-or-string') {
    return { type: ['integer', 'string'] };
  }
  // A pattern of Go's that JavaScript does not have.
  if (String(result['pattern']).includes('(?i)')) delete result['pattern'];
  const open = 'additionalProperties' in result || 'x-kubernetes-preserve-unknown-fields' in result;
  const isObject = typeof result['properties'] === 'object' && !Array.isArray(result['properties']);
  return isObject && result['type'] !== undefined && !open
    ? { ...result, additionalProperties: false }
    : result;
}

const definitions: Record<string, unknown> = {};

function add(name: string): void {
  if (name in definitions) return;
  definitions[name] = strict(all[name]);
  for (const [, inner] of JSON.stringify(definitions[name]).matchAll(/"#\/definitions\/([^"]+)"/g))
    add(inner as string);
}

function groupVersionKinds(schema: Schema): { group: string; version: string; kind: string }[] {
  return schema['x-kubernetes-group-version-kind'] as ReturnType<typeof groupVersionKinds>;
}

interface Definition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

/** Which definition an object has, by `<apiVersion>/<kind>`. */
const kinds: Record<string, string> = {};
for (const name of [...BUILT_IN, OBJECT_META]) add(name);
for (const name of BUILT_IN) {
  for (const { group, version, kind } of groupVersionKinds(all[name] ?? {})) {
    kinds[`${group ? `${group}/` : ''}${version}/${kind}`] = name;
  }
}
for (const path of definitionPaths) {
  const { spec } = parse(await readFile(path, 'utf8')) as Definition;
  for (const { name: version, schema } of spec.versions) {
    const key = `${spec.group}/${version}/${spec.names.kind}`;
    const own = strict(schema.openAPIV3Schema) as { properties: Schema };
    own.properties['metadata'] = { $ref: `#/definitions/${OBJECT_META}` };
    definitions[key] = own;
    kinds[key] = key;
  }
}
Object.assign(kinds, COPIES);
const document = { $id: 'kubernetes', kinds, definitions };
await writeFile(join(import.meta.dirname, 'schemas.json'), `${JSON.stringify(document, null, 1)}\n`);
