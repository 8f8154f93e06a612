import type { FluxEvent } from '@flux-dispatch/event/event';
import type { AlertMetadata } from '@flux-dispatch/routing/alert';
import type { EventOutcome } from '@flux-dispatch/routing/outcome';
import type { CandidateResult, EnqueueResult } from './enqueue.ts';

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

// Flux obeys Retry-After, but gives up 15 s after its first try. Where Redis has used up QUEUE_TIMEOUT, less is left.
const RETRY_AFTER_REFUSED_S = 3;
const RETRY_AFTER_TIMEOUT_S = 1;

/** The answer to an event that was routed. */
export function answerEnqueue(result: EnqueueResult): Answer {
  if (result.kind === 'unavailable') {
    const seconds = result.timedOut ? RETRY_AFTER_TIMEOUT_S : RETRY_AFTER_REFUSED_S;
    return {
      outcome: 'queue_unavailable',
      message:
        'the event was not queued because the queue is unavailable at the moment: Flux sends it again by itself',
      detail: result.reason,
      headers: { 'Retry-After': String(seconds) },
    };
  }
  const { results } = result;
  const representative = results.find(({ outcome }) => outcome === 'enqueued') ?? results[0];
  if (representative === undefined) throw new Error('An event was routed to no repository');
  return { outcome: representative.outcome, dispatches: { results, representative } };
}

/** The body of an answer. */
export function answerBody({ outcome, message, dispatches }: Answer) {
  return {
    outcome,
    ...(message === undefined ? {} : { message }),
    ...(dispatches && { dispatch_id: dispatches.representative.dispatch_id, dispatches: dispatches.results }),
  };
}
