import { EVENT_OUTCOMES } from '@flux-dispatch/routing/outcome';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type IngestMetrics = ReturnType<typeof createIngestMetrics>;

/** @param reasons the reasons that get a label value of their own @param countStreams asked at every scrape */
export function createIngestMetrics(
  registry: Registry,
  reasons: readonly string[],
  countStreams: () => Promise<number>,
) {
  const registers = [registry];
  const known = new Set(reasons);
  const events = new Counter({
    name: 'flux_dispatch_events_total',
    help: 'Requests to the events endpoint, by what became of them.',
    labelNames: ['outcome'],
    registers,
  });
  // A counter that first appears at 1 has no increase: rate() and alerts need its zero.
  for (const outcome of Object.keys(EVENT_OUTCOMES)) events.inc({ outcome }, 0);
  new Gauge({
    name: 'flux_dispatch_dedup_entries',
    help: 'Streams that are remembered: the events of one object and class to one workflow.',
    registers,
    async collect() {
      try {
        this.set(await countStreams());
      } catch {
        // Redis is away, which has its own signals. An old number would be worse than none.
        this.reset();
        this.set(Number.NaN);
      }
    },
  });
  return {
    events,
    reasonLabel: (reason: string) => (known.has(reason) ? reason : 'other'),
    received: new Counter({
      name: 'flux_dispatch_events_received_total',
      help: 'Flux events received with a valid signature and shape, by reason.',
      labelNames: ['reason'],
      registers,
    }),
    signatureFailures: new Counter({
      name: 'flux_dispatch_signature_failures_total',
      help: 'Requests whose signature was missing, malformed or wrong.',
      registers,
    }),
    dedupHits: new Counter({
      name: 'flux_dispatch_dedup_hits_total',
      help: 'Dispatches held back as repeats, by the reason of the event.',
      labelNames: ['reason'],
      registers,
    }),
    conflicts: new Counter({
      name: 'flux_dispatch_conflicts_total',
      help: 'Streams in which two sources overwrite each other, once an hour each.',
      registers,
    }),
    requestDuration: new Histogram({
      name: 'flux_dispatch_http_request_duration_seconds',
      help: 'Time from a request to its answer, by status code.',
      labelNames: ['code'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    }),
  };
}
