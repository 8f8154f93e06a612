interface OutcomeDescription {
  /** The HTTP status. `REJECT_STATUS` stands for the value of that variable. */
  readonly status: number | 'REJECT_STATUS';
  /** One plain sentence, as the README has it. */
  readonly meaning: string;
}

/** Everything that `POST /flux-events` can answer. The metric of events has a series for each. */
export const EVENT_OUTCOMES = {
  enqueued: {
    status: 202,
    meaning: 'A dispatch is queued for at least one repository.',
  },
  duplicate: {
    status: 200,
    meaning: 'This deployment has been dispatched already, or its dispatch is queued.',
  },
  rate_limited: {
    status: 200,
    meaning:
      'The event has no revision and repeats one that is queued or was dispatched within `RATE_LIMIT_INTERVAL`.',
  },
  undeliverable: {
    status: 'REJECT_STATUS',
    meaning: 'The dispatch that this event repeats is a dead letter. The message says why, and what to do.',
  },
  no_run: {
    status: 'REJECT_STATUS',
    meaning:
      'GitHub accepted the dispatch that this event repeats, and no workflow run started. The message says why.',
  },
  stale: {
    status: 200,
    meaning: 'A newer event of the same stream was queued up to 2 minutes before.',
  },
  ignored_reason: {
    status: 200,
    meaning:
      'The reason is in neither `SUCCESS_REASONS` nor `FAILURE_REASONS`, or the event reports a deletion.',
  },
  not_routed: {
    status: 200,
    meaning:
      'The event type takes another class of events, `dispatch_reasons` does not name the reason, or there was no outage to recover from.',
  },
  missing_dispatch_repo: {
    status: 'REJECT_STATUS',
    meaning: 'The metadata has no `dispatch_repo`.',
  },
  invalid_dispatch_repo: {
    status: 'REJECT_STATUS',
    meaning:
      '`dispatch_repo` has an entry that is not `owner/name`, an owner outside `ALLOWED_OWNERS`, or more than 10 repositories; nothing is queued.',
  },
  invalid_dispatch_event: {
    status: 'REJECT_STATUS',
    meaning: '`dispatch_event` is not a valid event type.',
  },
  invalid_dispatch_on: {
    status: 'REJECT_STATUS',
    meaning: '`dispatch_on` is not `success`, `failure`, `recovery` or `any`.',
  },
  invalid_dispatch_reasons: {
    status: 'REJECT_STATUS',
    meaning: '`dispatch_reasons` has a name that is not a reason of Flux.',
  },
  invalid_payload: {
    status: 400,
    meaning: 'The body is not JSON, is not a Flux event, or did not arrive completely.',
  },
  invalid_signature: {
    status: 401,
    meaning: 'The `X-Signature` header is missing, malformed or wrong.',
  },
  body_too_large: {
    status: 413,
    meaning: 'The body is larger than `MAX_BODY_BYTES`.',
  },
  internal_error: {
    status: 500,
    meaning: 'ingest has a bug; the log has the details.',
  },
  queue_unavailable: {
    status: 503,
    meaning:
      'Redis is away, is nearly full, or did not take the event within `QUEUE_TIMEOUT`. Flux tries again.',
  },
} as const satisfies Record<string, OutcomeDescription>;

/** Everything that ingest can answer, other paths and methods included. */
export const OUTCOMES = {
  ...EVENT_OUTCOMES,
  not_found: {
    status: 404,
    meaning: 'The path is not `/flux-events`.',
  },
  method_not_allowed: {
    status: 405,
    meaning: 'The method is not `POST`.',
  },
} as const satisfies Record<string, OutcomeDescription>;

export type EventOutcome = keyof typeof EVENT_OUTCOMES;
export type Outcome = keyof typeof OUTCOMES;

/** The HTTP status of an outcome. */
export function statusOf(outcome: Outcome, { REJECT_STATUS }: { readonly REJECT_STATUS: number }): number {
  const { status } = OUTCOMES[outcome];
  return status === 'REJECT_STATUS' ? REJECT_STATUS : status;
}
