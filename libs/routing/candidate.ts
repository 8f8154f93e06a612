import type { FluxEvent } from '@flux-dispatch/event/event';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { EndedOutage } from '@flux-dispatch/queue/outages';
import { type DeploymentKey, type Identity, identify, identifyRecovery, objectId } from './identity.ts';
import { clientPayload, type PayloadWithoutId } from './payload.ts';

/**
 * A dispatch that an event asks for. Whether it is queued, repeats another or is stale is decided by Redis; if it is
 * queued, it gets an id and a time.
 */
export interface DispatchCandidate extends Identity, Pick<Dispatch, 'repo' | 'event_type' | 'class'> {
  readonly claim: { readonly delivered_ttl_ms: number };
  readonly payload: PayloadWithoutId;
  /** The event's timestamp in seconds since the epoch; undefined where it is missing or unreadable. */
  readonly event_time: number | undefined;
  /** The outcome if this repeats another dispatch. */
  readonly repeat: 'duplicate' | 'rate_limited';
  /**
   * Whether a delivered dispatch is remembered for as long as its stream. A failure without revision is not: the next one
   * of the same reason may be another, so it is dispatched again once its claim has expired.
   */
  readonly remembered: boolean;
  /** How long the dispatch waits before it is sent, in milliseconds. */
  readonly delay_ms: number;
  /** Of a recovery: whether a failure of its outage is known to be delivered. */
  readonly outage_confirmed?: boolean | undefined;
}

/** A success that no dispatch is wanted for, or none but after an outage. It ends an outage of its object all the same. */
export interface Recovery {
  readonly object_ids: readonly string[];
  /** As in a candidate. */
  readonly event_time: number | undefined;
}

export interface CandidateConfig {
  /** Milliseconds. */
  readonly RATE_LIMIT_INTERVAL: number;
  /** Milliseconds. */
  readonly DEPENDENCY_GRACE: number;
}

/** An event that was found worth dispatching, and the repositories that it asks to dispatch to. */
export interface RoutedEvent extends Omit<DeploymentKey, 'repo'> {
  readonly repositories: readonly string[];
}

/** The candidates of an event, one for each repository. */
export function dispatchCandidates(
  routed: RoutedEvent,
  config: CandidateConfig,
): readonly DispatchCandidate[] {
  const { event, alert, reasonClass, repositories } = routed;
  const remembered = reasonClass === 'success' || alert.revision !== undefined;
  const common = {
    event_type: alert.dispatch_event,
    class: reasonClass,
    event_time: eventTime(event),
    payload: clientPayload(event, alert, reasonClass),
    claim: { delivered_ttl_ms: remembered ? DELIVERED_CLAIM_MS : config.RATE_LIMIT_INTERVAL },
    repeat: remembered ? ('duplicate' as const) : ('rate_limited' as const),
    remembered,
    // Every normal deploy of an object with dependencies begins with it. Its success then supersedes it.
    delay_ms: event.reason === 'DependencyNotReady' ? config.DEPENDENCY_GRACE : 0,
  };
  return repositories.map(repo => ({ ...identify({ event, alert, reasonClass, repo }), repo, ...common }));
}

/** The recovery that a success is for each of its repositories. */
export function recoveryOf({ event, alert, repositories }: RoutedEvent): Recovery {
  const object_ids = repositories.map(repo => objectId({ event, alert, repo }));
  return { object_ids, event_time: eventTime(event) };
}

/** The candidate of a success that has ended an outage, for one repository. */
export function recoveryCandidate(
  { event, alert }: Pick<RoutedEvent, 'event' | 'alert'>,
  repo: string,
  { outage, endedAt, confirmed }: EndedOutage,
): DispatchCandidate {
  return {
    ...identifyRecovery({ event, alert, repo, outageId: outage.id }),
    ...{ repo, event_type: alert.dispatch_event, class: 'recovery', event_time: endedAt },
    payload: clientPayload(event, alert, 'recovery', outage),
    claim: { delivered_ttl_ms: DELIVERED_CLAIM_MS },
    ...{ repeat: 'duplicate', remembered: true, delay_ms: 0, outage_confirmed: confirmed },
  };
}

// The claim of a delivered dispatch answers what comes at the same moment at another replica. The stream remembers it
// from then on.
const DELIVERED_CLAIM_MS = 3_600_000;

/** Whole seconds, as Kubernetes' times are. */
function eventTime({ timestamp }: FluxEvent): number | undefined {
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) || ms < 0 ? undefined : Math.floor(ms / 1000);
}
