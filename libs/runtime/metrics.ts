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
 * @param same values for which it gives the same are one, by the spelling that came first
 */
export function boundedLabel(
  max: number,
  same: (value: string) => string = value => value,
): { admit(value: string): void; label(value: string): string } {
  const known = new Map<string, string>();
  return {
    admit(value) {
      if (known.size < max && !known.has(same(value))) known.set(same(value), value);
    },
    label: value => known.get(same(value)) ?? 'other',
  };
}
