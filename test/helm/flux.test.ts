import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEvent } from '@flux-dispatch/event/event';
import { DEFAULT_ROUTING } from '@flux-dispatch/routing/config';
import { decide } from '@flux-dispatch/routing/decide';
import { fluxEvent } from '@flux-dispatch/testbed/flux';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { chart, type KubernetesObject, parseObjects } from './render.ts';
import { schemaFaults } from './schemas.ts';

const FOLDER = join(import.meta.dirname, '../../docs/flux');

async function read(name: string): Promise<KubernetesObject[]> {
  return parseObjects(await readFile(join(FOLDER, name), 'utf8'));
}

function only(objects: readonly KubernetesObject[], kind: string): KubernetesObject {
  const [found] = objects.filter(object => object.kind === kind);
  if (found === undefined) throw new Error(`There is no ${kind}`);
  return found;
}

test.for(['install.yaml', 'product.yaml'])('docs/flux/%s holds what the API server takes', async name => {
  const objects = await read(name);
  expect(objects.length).toBeGreaterThan(1);
  for (const object of objects) expect(schemaFaults(object), object.kind).toEqual([]);
});

test('the chart takes the values of the HelmRelease, and has a Service where the Provider sends', async context => {
  const { render } = await chart(context);
  const release = only(await read('install.yaml'), 'HelmRelease');
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-values-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true }));
  const values = join(folder, 'values.yaml');
  await writeFile(values, stringify(release.spec.values));
  const rendered = await render('--values', values, '--namespace', release.metadata.namespace);

  const address = new URL(only(await read('product.yaml'), 'Provider').spec.address);
  const [service = '', namespace] = address.hostname.split('.');
  const { metadata, spec } = rendered.get('Service', service);
  expect(metadata.namespace).toBe(namespace);
  expect(spec.ports).toContainEqual({ name: 'http', port: Number(address.port), targetPort: 'http' });
  expect(address.pathname).toBe('/flux-events');
});

test('the Alerts bring a success and a failure each to its own workflow', async () => {
  // The Alert for recoveries takes a success only after an outage, which Redis remembers.
  const alerts = (await read('product.yaml')).filter(
    ({ kind, metadata }) => kind === 'Alert' && metadata.name !== 'deploy-recovered',
  );
  const eventTypes = (reason: string, severity: 'info' | 'error') =>
    alerts.flatMap(({ spec }) => {
      const event = parseEvent(fluxEvent({ reason, severity, metadata: spec.eventMetadata }));
      if (!event.ok) throw new Error(event.fault);
      const decision = decide(event.event, { scope: 'all' }, DEFAULT_ROUTING);
      return decision.kind === 'enqueue' ? decision.candidates.map(({ event_type }) => event_type) : [];
    });
  expect(eventTypes('ReconciliationSucceeded', 'info')).toEqual(['flux-deploy']);
  expect(eventTypes('HealthCheckFailed', 'error')).toEqual(['flux-deploy-failed']);
});
