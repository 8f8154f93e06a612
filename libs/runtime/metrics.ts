import { collectDefaultMetrics, Registry } from 'prom-client';

/** A registry with the defaults of a Node process: CPU, memory, event loop lag, garbage collection. */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}

/**
 * Bounds a label's values: the first `max` values that are `admit`ted keep their name, any other is `other`.
 * What a request or a queued job says must not be able to create time series.
 */
export function boundedLabel(max: number): { admit(value: string): void; label(value: string): string } {
  const known = new Set<string>();
  return {
    admit(value) {
      if (known.size < max) known.add(value);
    },
    label: value => (known.has(value) ? value : 'other'),
  };
}
