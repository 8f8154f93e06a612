import type { FluxEvent } from '@flux-dispatch/event/event';
import {
  type EventClass,
  FAILURE_REASONS as FLUX_FAILURE_REASONS,
  SUCCESS_REASONS as FLUX_SUCCESS_REASONS,
  INFO_FAILURE_REASONS,
  OPTIONAL_SUCCESS_REASON,
  type ReasonClass,
} from '@flux-dispatch/event/reasons';
import { type AlertMetadata, readAlert } from './alert.ts';
import {
  type CandidateConfig,
  type DispatchCandidate,
  dispatchCandidates,
  type Recovery,
  type RoutedEvent,
  recoveryOf,
} from './candidate.ts';
import { parseDispatchRepo } from './dispatch-repo.ts';
import type { EventOutcome } from './outcome.ts';
import { policyFault } from './policy.ts';
import { quote } from './text.ts';

/** What GitHub takes as an `event_type`, as a pattern and in words. */
export const EVENT_TYPE = {
  pattern: /^[A-Za-z0-9._-]{1,100}$/,
  form: '1 to 100 letters, digits, dots, dashes or underscores',
};

export interface DecideConfig extends CandidateConfig {
  readonly SUCCESS_REASONS: readonly string[];
  readonly FAILURE_REASONS: readonly string[];
  readonly ALLOWED_OWNERS: readonly string[];
  readonly DEFAULT_DISPATCH_EVENT: string;
}

/** Who sent an event. `all`: may report events of every namespace. */
export interface Sender {
  readonly scope: 'all';
}

/** The Alert is right, but this event is not dispatched. */
export type Skip = Extract<EventOutcome, 'ignored_reason' | 'not_routed'>;

/** The Alert has a mistake. */
export type Rejection = Extract<
  EventOutcome,
  | 'missing_dispatch_repo'
  | 'invalid_dispatch_repo'
  | 'invalid_dispatch_event'
  | 'invalid_dispatch_on'
  | 'invalid_dispatch_reasons'
>;

/**
 * What happens to an event, with the metadata that the decision rests on. A message says in one line what the product
 * team has to change on its Alert.
 */
export type Decision = { readonly alert: AlertMetadata } & (
  | { readonly kind: 'enqueue'; readonly candidates: readonly DispatchCandidate[] }
  /** A success for an Alert that takes recoveries: a dispatch is wanted where it has ended an outage. */
  | {
      readonly kind: 'recover';
      readonly routed: RoutedEvent;
      readonly recovery: Recovery;
      /** Why nothing is dispatched where there was no outage. */
      readonly message: string;
    }
  | { readonly kind: 'skip'; readonly outcome: Skip; readonly message: string; readonly recovery?: Recovery }
  | { readonly kind: 'reject'; readonly outcome: Rejection; readonly message: string }
);

/**
 * Decides what happens to a Flux event. Pure: the same arguments give the same decision. The first step that has an
 * answer ends it.
 * @param _sender not consulted: the only scope there is allows every event
 */
export function decide(event: FluxEvent, _sender: Sender, config: DecideConfig): Decision {
  const alert = readAlert(event, config);
  const skip = (outcome: Skip, message: string) => ({ kind: 'skip' as const, alert, outcome, message });
  const reject = (outcome: Rejection, message: string): Decision => ({
    kind: 'reject',
    alert,
    outcome,
    message,
  });

  const reasonClass = classOf(event, alert, config);
  if (reasonClass === undefined) return skip('ignored_reason', ignored(event, config));

  if (alert.dispatch_repo === undefined) {
    const message = 'dispatch_repo is missing: set it to owner/name in the eventMetadata of the Alert';
    return reject('missing_dispatch_repo', message);
  }
  const target = parseDispatchRepo(alert.dispatch_repo);
  if (!target.ok) return reject('invalid_dispatch_repo', target.fault);
  const refusal = policyFault(target.repositories, config);
  if (refusal !== undefined) return reject('invalid_dispatch_repo', refusal);

  const eventType = alert.dispatch_event;
  if (!EVENT_TYPE.pattern.test(eventType)) {
    return reject('invalid_dispatch_event', `dispatch_event ${quote(eventType)} must be ${EVENT_TYPE.form}`);
  }

  const takes = alert.dispatch_on ?? takenByName(eventType);
  if (!isTaken(takes)) {
    return reject(
      'invalid_dispatch_on',
      `dispatch_on ${quote(takes)} must be success, failure, recovery or any`,
    );
  }
  const unknown = alert.dispatch_reasons?.find(reason => !isReason(reason, config));
  if (unknown !== undefined) {
    return reject(
      'invalid_dispatch_reasons',
      `dispatch_reasons ${quote(unknown)} is not a known Flux reason: use reasons ${REASONS_FORM}`,
    );
  }

  const routed = { event, alert, reasonClass, repositories: target.repositories };
  const notRouted = (message: string) => {
    const skipped = skip('not_routed', message);
    return reasonClass === 'success' ? { ...skipped, recovery: recoveryOf(routed) } : skipped;
  };
  if (takes !== 'any' && takes !== reasonClass && !(takes === 'recovery' && reasonClass === 'success')) {
    return notRouted(
      `a ${reasonClass} (${event.reason}) is not sent to the event type ${eventType}, which takes ${TAKEN[takes]}`,
    );
  }
  if (alert.dispatch_reasons?.includes(event.reason) === false) {
    return notRouted(`dispatch_reasons does not name ${event.reason}`);
  }
  if (takes === 'recovery') {
    const message = `there was nothing to recover from: no failure of this object that was delivered to this repository came before this success (${event.reason}), and the event type ${eventType} takes ${TAKEN.recovery}`;
    return { kind: 'recover', alert, routed, recovery: recoveryOf(routed), message };
  }
  return { kind: 'enqueue', alert, candidates: dispatchCandidates(routed, config) };
}

/** What an event type can take, as `dispatch_on` says it, and in words. */
const TAKEN = {
  success: 'successes',
  failure: 'failures',
  recovery: 'recoveries',
  any: 'successes and failures',
} as const satisfies Record<ReasonClass | 'any', string>;

function isTaken(takes: string): takes is keyof typeof TAKEN {
  return Object.hasOwn(TAKEN, takes);
}

/** What an event type takes by its name. */
function takenByName(eventType: string): ReasonClass {
  if (eventType.endsWith('-failed')) return 'failure';
  return eventType.endsWith('-recovered') ? 'recovery' : 'success';
}

const REASONS_FORM = 'separated by commas, such as InstallSucceeded, UpgradeSucceeded';

function isReason(reason: string, config: DecideConfig): boolean {
  const { SUCCESS_REASONS, FAILURE_REASONS } = config;
  // Those of Flux are no mistake of the team, also where this service is not configured for them.
  const ofFlux = [...FLUX_SUCCESS_REASONS, ...FLUX_FAILURE_REASONS, OPTIONAL_SUCCESS_REASON];
  return [...SUCCESS_REASONS, ...FAILURE_REASONS, ...ofFlux].includes(reason);
}

function ignored({ reason, severity }: FluxEvent, config: DecideConfig): string {
  if (config.FAILURE_REASONS.includes(reason)) {
    return `reason ${quote(reason)} with severity ${severity} reports the deletion of an object`;
  }
  return reason === OPTIONAL_SUCCESS_REASON
    ? `reason ${reason} counts only where dispatch_reasons names it`
    : `reason ${quote(reason)} is neither a success nor a failure of a deployment`;
}

function classOf(
  { reason, severity }: FluxEvent,
  { dispatch_reasons }: AlertMetadata,
  config: DecideConfig,
): EventClass | undefined {
  if (config.FAILURE_REASONS.includes(reason)) {
    // At the deletion of an object Flux repeats the reason of its last condition.
    return severity === 'info' && !INFO_FAILURE_REASONS.includes(reason) ? undefined : 'failure';
  }
  const isAskedFor = reason === OPTIONAL_SUCCESS_REASON && dispatch_reasons?.includes(reason);
  if (!isAskedFor && !config.SUCCESS_REASONS.includes(reason)) return undefined;
  // kustomize-controller gives an error while it deletes an object the reason of the Ready condition before it.
  return severity === 'error' ? 'failure' : 'success';
}
