import { createDispatcherMetrics, registerOpenReceipts } from '@flux-dispatch/dispatcher/metrics';
import { createIngestMetrics } from '@flux-dispatch/ingest/metrics';
import { createRegistry } from '@flux-dispatch/runtime/metrics';

/** The metrics that the processes export, each with the names of its series. */
export async function exportedMetrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const registry = createRegistry({ name: 'flux-dispatch', version: '', revision: '' });
  createIngestMetrics(registry, [], async () => 0);
  createDispatcherMetrics(
    registry,
    async () => [],
    async () => 1,
  );
  registerOpenReceipts(registry, async () => 0);
  const metrics = (await registry.getMetricsAsJSON()).map(({ name, type }): [string, string[]] => {
    // prom-client types it as its enum of numbers; what it gives is the name.
    const suffixes = `${type}` === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return [name, suffixes.map(suffix => name + suffix)];
  });
  return new Map(metrics);
}
