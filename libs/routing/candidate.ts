import type { FluxEvent } from '@flux-dispatch/event/event';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { AlertMetadata } from './alert.ts';
import { type DeploymentKey, type Identity, identify } from './identity.ts';
import { clientPayload, type PayloadWithoutId } from './payload.ts';

/**
 * A dispatch that an event asks for. Whether it is queued, repeats another or is stale is decided by Redis; if it is
 * queued, it gets an id and a time.
 */
export interface DispatchCandidate
  extends Identity,
    Pick<Dispatch, 'repo' | 'event_type' | 'class' | 'claim'> {
  readonly payload: PayloadWithoutId;
  /** The event's timestamp in seconds since the epoch; undefined where it is missing or unreadable. */
  readonly event_time: number | undefined;
  /** The outcome if this repeats another dispatch. */
  readonly repeat: 'duplicate' | 'rate_limited';
  /** For how long a repeat extends the claim of a delivered dispatch, in milliseconds. 0: not at all. */
  readonly renewal_ms: number;
}

export interface ClaimConfig {
  /** Milliseconds. */
  readonly DEDUP_TTL: number;
  readonly DEDUP_MAX_ENTRIES: number;
  /** Milliseconds. */
  readonly RATE_LIMIT_INTERVAL: number;
}

/** An event that was found worth dispatching, and the repositories that it asks to dispatch to. */
export interface RoutedEvent extends Omit<DeploymentKey, 'repo'> {
  readonly repositories: readonly string[];
}

/** The candidates of an event, one for each repository. */
export function dispatchCandidates(routed: RoutedEvent, config: ClaimConfig): readonly DispatchCandidate[] {
  const { event, alert, reasonClass, repositories } = routed;
  const common = {
    event_type: alert.dispatch_event,
    class: reasonClass,
    event_time: eventTime(event),
    payload: clientPayload(event, alert),
    ...repeatRules(alert, config),
  };
  return repositories.map(repo => ({ ...identify({ event, alert, reasonClass, repo }), repo, ...common }));
}

function repeatRules({ revision }: AlertMetadata, config: ClaimConfig) {
  const max_delivered = config.DEDUP_MAX_ENTRIES;
  if (revision) {
    return {
      claim: { delivered_ttl_ms: config.DEDUP_TTL, max_delivered },
      repeat: 'duplicate' as const,
      renewal_ms: config.DEDUP_TTL,
    };
  }
  return {
    claim: { delivered_ttl_ms: config.RATE_LIMIT_INTERVAL, max_delivered },
    repeat: 'rate_limited' as const,
    // Without a revision, a repeat may be another failure. It is dispatched again once the interval is over.
    renewal_ms: 0,
  };
}

/** Whole seconds, as Kubernetes' times are. */
function eventTime({ timestamp }: FluxEvent): number | undefined {
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) || ms < 0 ? undefined : Math.floor(ms / 1000);
}
