import type { Receipt, ReceiptRun } from '@flux-dispatch/queue/receipt';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { DispatcherMetrics } from '../metrics.ts';

/** How the search for the runs of a dispatch ended. */
export type ReceiptOutcome =
  /** `unknown` among the results: that run could not be followed to its end. */
  | { readonly outcome: 'completed'; readonly runs: readonly ReceiptRun[] }
  | { readonly outcome: 'no_run'; readonly finding: string }
  /** `not_sent`: an operator pressed Retry, and the dispatch was superseded or refused. */
  | { readonly outcome: 'unknown' | 'not_sent'; readonly reason: string }
  | { readonly outcome: 'resent' | 'replaced_by_newer' };

// https://docs.github.com/en/rest/actions/workflow-runs: every other conclusion would be a new one.
const CONCLUSIONS: readonly string[] = [
  ...['success', 'failure', 'cancelled', 'timed_out', 'action_required', 'skipped', 'neutral'],
  ...['startup_failure', 'stale'],
];

/** The result of a run: its conclusion, if there is one that GitHub documents. */
function resultOf({ conclusion }: Pick<ReceiptRun, 'conclusion'>): string {
  return conclusion !== null && CONCLUSIONS.includes(conclusion) ? conclusion : 'unknown';
}

export interface ReceiptReportDependencies {
  readonly metrics: Pick<DispatcherMetrics, 'admit' | 'labels' | 'runs'>;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** Logs and counts how a receipt ended. */
export function createReceiptReport({ metrics, log }: ReceiptReportDependencies) {
  return (receipt: Receipt, ended: ReceiptOutcome): void => {
    // Another replica may have sent it, and then this one does not know yet that GitHub has accepted the names.
    metrics.admit(receipt);
    for (const result of resultsOf(ended)) metrics.runs.inc({ ...metrics.labels(receipt), result });
    const { product, environment: env, repo, event_type, reason, dispatch_id } = receipt;
    const about = { outcome: ended.outcome, product, env, repo, event_type, reason, dispatch_id };
    const level = ended.outcome === 'no_run' || ended.outcome === 'unknown' ? 'warn' : 'info';
    log[level]({ ...about, ...details(ended) }, 'Receipt');
  };
}

/** What the runs of a dispatch came to. */
export function resultsOf(ended: ReceiptOutcome): readonly string[] {
  switch (ended.outcome) {
    case 'completed':
      return ended.runs.map(resultOf);
    case 'no_run':
      return ['none'];
    case 'unknown':
      return ['unknown'];
    case 'resent':
    case 'replaced_by_newer':
    case 'not_sent':
      return [];
    default:
      return ended satisfies never;
  }
}

function details(ended: ReceiptOutcome) {
  switch (ended.outcome) {
    case 'completed':
      return { runs: ended.runs.map(run => ({ url: run.url, result: resultOf(run), match: run.match })) };
    case 'no_run':
      return { error: ended.finding };
    case 'unknown':
    case 'not_sent':
      return { error: ended.reason };
    case 'resent':
    case 'replaced_by_newer':
      return {};
    default:
      return ended satisfies never;
  }
}
