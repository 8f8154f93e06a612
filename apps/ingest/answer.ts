import type { FluxEvent } from '@flux-dispatch/event/event';
import type { AlertMetadata } from '@flux-dispatch/routing/alert';
import type { EventOutcome } from '@flux-dispatch/routing/outcome';
import type { CandidateResult, EnqueueResult } from './enqueue.ts';
import type { Unavailable } from './unavailable.ts';

/** What a request to the events endpoint is answered with. The outcome decides the status. */
export interface Answer {
  readonly outcome: EventOutcome;
  /** What to change, in one line. Flux shows it to the product team as an event on its Alert. */
  readonly message?: string;
  /** Replaces the message in the log. */
  readonly detail?: string;
  /** What happened to each repository, and the one that stands for the event as a whole. */
  readonly dispatches?: {
    readonly results: readonly CandidateResult[];
    readonly representative: CandidateResult;
  };
  readonly headers?: Readonly<Record<string, string>>;
  /** The event, once the body has been read as one. */
  readonly about?: { readonly event: FluxEvent; readonly alert: AlertMetadata };
}

/**
 * The answer while the queue does not take the event. It has no Retry-After: Flux's own tries, after 2, 4, 8 and 16 s,
 * reach further within the timeout of its Provider than equal steps would.
 */
export function unavailable({ reason }: Unavailable): Answer {
  const message =
    'the event was not queued because the queue is temporarily unavailable: Flux retries it automatically';
  return { outcome: 'queue_unavailable', message, detail: reason };
}

/** The answer to an event that was routed. */
export function answerEnqueue(result: EnqueueResult): Answer {
  if (result.kind === 'unavailable') return unavailable(result);
  const { results } = result;
  const first = (wanted: CandidateResult['outcome']) => results.find(({ outcome }) => outcome === wanted);
  const representative = first('enqueued') ?? first('undeliverable') ?? first('no_run') ?? results[0];
  if (representative === undefined) throw new Error('An event was routed to no repository');
  const { outcome, message } = representative;
  return { outcome, ...(message !== undefined && { message }), dispatches: { results, representative } };
}

/** The body of an answer. */
export function answerBody({ outcome, message, dispatches }: Answer) {
  return {
    outcome,
    ...(message === undefined ? {} : { message }),
    ...(dispatches && { dispatch_id: dispatches.representative.dispatch_id, dispatches: dispatches.results }),
  };
}
