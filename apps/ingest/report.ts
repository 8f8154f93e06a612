import type { DispatchCandidate } from '@flux-dispatch/routing/candidate';
import { truncate } from '@flux-dispatch/routing/text';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Answer } from './answer.ts';
import type { CandidateResult } from './enqueue.ts';
import type { IngestMetrics } from './metrics.ts';

/** Counts what became of a request to the events endpoint. */
export function countAnswer(metrics: IngestMetrics, { outcome, about, dispatches }: Answer): void {
  metrics.events.inc({ outcome });
  if (outcome === 'invalid_signature') metrics.signatureFailures.inc();
  if (!about || !dispatches) return;
  const repeats = dispatches.results.filter(result => IS_REPEAT[result.outcome]);
  metrics.dedupHits.inc({ reason: metrics.reasonLabel(about.event.reason) }, repeats.length);
}

const IS_REPEAT: Readonly<Record<CandidateResult['outcome'], boolean>> = {
  duplicate: true,
  rate_limited: true,
  undeliverable: true,
  no_run: true,
  enqueued: false,
  stale: false,
  not_routed: false,
};

/** Logs one line for each event; if it was routed to several repositories, one for each of them. */
export function logAnswer(log: Logger, answer: Answer, status: number, remote: string): void {
  const { outcome, message, detail = message, dispatches, about } = answer;
  const event = about && {
    product: brief(about.alert.product),
    env: brief(about.alert.env),
    event_type: brief(about.alert.dispatch_event),
    reason: brief(about.event.reason),
  };
  const level = status >= 500 ? 'error' : status >= 400 ? 'warn' : 'info';
  if (dispatches) {
    for (const { message: detail, ...result } of dispatches.results) {
      log[level]({ ...result, ...event, status, ...(detail !== undefined && { detail }) }, 'Event');
    }
    return;
  }
  const repo = about && brief(about.alert.dispatch_repo ?? '');
  log[level]({ outcome, ...event, repo, status, detail, remote }, 'Event');
}

/** What a sender wrote, cut to a length that suits a log line. */
function brief(text: string): string {
  return truncate(text, 200);
}

/** Counts and logs that two sources overwrite each other in one stream: each keeps dispatching the other's deployment again. */
export function reportConflict(
  { repo, event_type, payload }: DispatchCandidate,
  metrics: Pick<IngestMetrics, 'conflicts'>,
  log: Pick<Logger, 'warn'>,
): void {
  metrics.conflicts.inc();
  const { product, environment, flux } = payload;
  const { kind, namespace, name, cluster } = flux;
  log.warn(
    { repo, event_type, product, env: environment, cluster, object: `${kind} ${namespace}/${name}` },
    'Two sources keep reporting different deployments of this object, and every change is dispatched. If they are two ' +
      'clusters, set the metadata key cluster on their Alerts',
  );
}
