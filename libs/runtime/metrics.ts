import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Build } from './build.ts';

/** A registry with the defaults of a Node process (CPU, memory, event loop lag, garbage collection) and the build. */
export function createRegistry(build: Build): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'flux_dispatch_build_info',
    help: 'Always 1; the labels say which build runs.',
    labelNames: ['version', 'revision'],
    registers: [registry],
  }).set({ version: build.version, revision: build.revision }, 1);
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
