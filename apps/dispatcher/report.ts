import { isAuthError } from '@flux-dispatch/github/verdict';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Attempt, Cause, UnreadableAttempt } from './attempt.ts';
import type { DispatcherMetrics } from './metrics.ts';

/** How an attempt ended. */
export type Outcome =
  /** `tookMs`: from when it was due until it was delivered. */
  | { readonly outcome: 'delivered'; readonly status: number; readonly tookMs: number }
  /** An earlier attempt had delivered it and could not end the job. */
  | { readonly outcome: 'delivered_before' }
  | { readonly outcome: 'superseded' }
  | { readonly outcome: 'dry_run' }
  | { readonly outcome: 'rate_limited'; readonly message: string }
  | {
      readonly outcome: 'retry';
      readonly code: Cause['code'];
      readonly message: string;
      /** Of an error that our own code did not expect. */
      readonly stack?: string | undefined;
    }
  | Dead;

interface Dead extends Cause {
  readonly outcome: 'dead';
  /** Whether its dead letter was not there before. */
  readonly written: boolean;
}

/** Logs and counts an attempt, once it has ended. */
export interface Report {
  (attempt: Attempt, ended: Outcome): void;
  (attempt: Attempt | UnreadableAttempt, ended: Dead): void;
}

export interface ReportDependencies {
  readonly metrics: DispatcherMetrics;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
}

const LEVELS = {
  delivered: 'info',
  delivered_before: 'info',
  superseded: 'info',
  dry_run: 'info',
  rate_limited: 'warn',
  retry: 'warn',
  dead: 'error',
} as const satisfies Record<Outcome['outcome'], keyof ReportDependencies['log']>;

export function createReport({ metrics, log }: ReportDependencies): Report {
  return (attempt: Attempt | UnreadableAttempt, ended: Outcome) => {
    if (attempt.dispatch) count(attempt.dispatch, ended, metrics);
    else if (ended.outcome === 'dead') countUnreadable(ended, metrics);
    const { outcome } = ended;
    // A bug of ours is an error also while it is tried again.
    const level = outcome === 'retry' && ended.code === 'internal' ? 'error' : LEVELS[outcome];
    log[level]({ outcome, ...about(attempt), ...details(ended) }, 'Dispatch');
  };
}

function count(dispatch: Dispatch, ended: Outcome, metrics: DispatcherMetrics): void {
  const sent = () => ({ ...metrics.labels(dispatch), reason: metrics.reasonLabel(dispatch.payload.reason) });
  switch (ended.outcome) {
    case 'delivered':
      metrics.dispatches.inc(sent());
      metrics.endToEnd.observe(ended.tookMs / 1000);
      return;
    case 'dry_run':
      metrics.dryRunDispatches.inc(sent());
      return;
    case 'superseded':
      metrics.superseded.inc();
      return;
    case 'retry':
      countError(dispatch, ended.code, metrics);
      metrics.retries.inc({ error_code: ended.code });
      return;
    case 'dead':
      countError(dispatch, ended.code, metrics);
      if (ended.written) metrics.deadLetters.inc({ ...metrics.labels(dispatch), error_code: ended.code });
      return;
    case 'delivered_before':
    case 'rate_limited':
      // No attempt of its own: GitHub was not asked, or asked for fewer calls, which the pause counts.
      return;
    default:
      ended satisfies never;
  }
}

function countError(dispatch: Dispatch, code: Cause['code'], metrics: DispatcherMetrics): void {
  metrics.errors.inc({ ...metrics.labels(dispatch), error_code: code });
  if (isAuthError(code)) metrics.authErrors.inc();
}

function countUnreadable({ written, code }: Dead, metrics: DispatcherMetrics): void {
  if (written) metrics.deadLetters.inc({ repo: 'other', event_type: 'other', error_code: code });
}

/** What a log line says of an attempt, however it ended. */
function about({ job, id, dispatch }: Attempt | UnreadableAttempt) {
  if (!dispatch) return { dispatch_id: id };
  const { repo, event_type, payload } = dispatch;
  return {
    product: payload.product,
    env: payload.environment,
    repo,
    event_type,
    reason: payload.reason,
    dispatch_id: id,
    attempt: job.attemptsMade + 1,
  };
}

/** What a log line says of the way in which an attempt ended. */
function details(ended: Outcome) {
  switch (ended.outcome) {
    case 'delivered':
      return { status: ended.status };
    case 'rate_limited':
      return { error: ended.message };
    case 'retry':
      return { error: ended.message, ...(ended.stack !== undefined && { stack: ended.stack }) };
    case 'dead':
      return { error: ended.message, hint: ended.hint };
    case 'delivered_before':
    case 'superseded':
    case 'dry_run':
      return {};
    default:
      return ended satisfies never;
  }
}
