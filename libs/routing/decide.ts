import type { FluxEvent } from '@flux-dispatch/event/event';
import type { ReasonClass } from '@flux-dispatch/event/reasons';
import { isAllowedOwner, isRepository } from '@flux-dispatch/github/repository';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { type Identity, identify } from './identity.ts';
import { clientPayload, productOf, type UnsentPayload } from './payload.ts';

/** What GitHub takes as an `event_type`. */
export const EVENT_TYPE = /^[A-Za-z0-9._-]{1,100}$/;
const MAX_REPOSITORIES = 10;

export interface DecideConfig {
  readonly SUCCESS_REASONS: readonly string[];
  readonly FAILURE_REASONS: readonly string[];
  readonly ALLOWED_OWNERS: readonly string[];
  readonly DEFAULT_DISPATCH_EVENT: string;
  /** Milliseconds. */
  readonly DEDUP_TTL: number;
  readonly DEDUP_MAX_ENTRIES: number;
  /** Milliseconds. */
  readonly RATE_LIMIT_INTERVAL: number;
}

/** A dispatch that is wanted, before it has an id and a time. */
export interface DispatchRequest extends Identity, Pick<Dispatch, 'repo' | 'event_type' | 'class' | 'claim'> {
  readonly payload: UnsentPayload;
  /** The event's timestamp in seconds since the epoch, or undefined where it has none that can be read. */
  readonly event_time: number | undefined;
  /** What the event is called when it repeats another. */
  readonly repeat: 'duplicate' | 'rate_limited';
  /** How long a repeat lets the claim of a delivered dispatch live on, in milliseconds. 0: not renewed. */
  readonly renewal_ms: number;
}

export type Rejection =
  | 'missing_dispatch_repo'
  | 'invalid_dispatch_repo'
  | 'invalid_dispatch_event'
  | 'invalid_dispatch_on';

/** What is to become of an event. A message tells the product team what to change on its Alert, in one line. */
export type Decision =
  | { kind: 'enqueue'; requests: readonly DispatchRequest[] }
  | { kind: 'skip'; outcome: 'ignored_reason' | 'not_routed'; message: string }
  | { kind: 'reject'; outcome: Rejection; message: string };

/** Decides what becomes of a Flux event. Pure: the same event and configuration give the same decision. */
export function decide(event: FluxEvent, config: DecideConfig): Decision {
  const { metadata, reason } = event;

  const reasonClass = classOf(event, config);
  if (reasonClass === undefined) {
    return skip(
      'ignored_reason',
      `reason ${quote(reason)} is neither a success nor a failure of a deployment`,
    );
  }

  const repositories = metadata['dispatch_repo'];
  if (repositories === undefined) {
    return reject(
      'missing_dispatch_repo',
      'dispatch_repo is missing: set it to owner/name in the eventMetadata of the Alert',
    );
  }
  const target = parseRepositories(repositories, config.ALLOWED_OWNERS);
  if ('fault' in target) return reject('invalid_dispatch_repo', target.fault);

  const eventType = metadata['dispatch_event'] ?? config.DEFAULT_DISPATCH_EVENT;
  if (!EVENT_TYPE.test(eventType)) {
    return reject(
      'invalid_dispatch_event',
      `dispatch_event ${quote(eventType)} must be 1 to 100 letters, digits, dots, dashes or underscores`,
    );
  }

  const takes = metadata['dispatch_on'] ?? (eventType.endsWith('-failed') ? 'failure' : 'success');
  if (takes !== 'success' && takes !== 'failure' && takes !== 'any') {
    return reject('invalid_dispatch_on', `dispatch_on ${quote(takes)} must be success, failure or any`);
  }
  if (takes !== 'any' && takes !== reasonClass) {
    return skip(
      'not_routed',
      `a ${reasonClass} (${reason}) does not belong on ${eventType}, which takes ${takes}`,
    );
  }

  const payload = clientPayload(event);
  const hasRevision = (metadata['revision'] ?? '') !== '';
  return {
    kind: 'enqueue',
    requests: target.repositories.map(repo => ({
      ...identify({
        event,
        product: productOf(event),
        environment: metadata['env'] ?? '',
        cluster: metadata['cluster'] ?? '',
        reasonClass,
        repo,
        eventType,
      }),
      repo,
      event_type: eventType,
      class: reasonClass,
      event_time: eventTime(event),
      claim: {
        delivered_ttl_ms: hasRevision ? config.DEDUP_TTL : config.RATE_LIMIT_INTERVAL,
        max_delivered: config.DEDUP_MAX_ENTRIES,
      },
      payload,
      repeat: hasRevision ? 'duplicate' : 'rate_limited',
      // Without a revision nothing tells one failure from the next, so it is to be told again after the interval.
      renewal_ms: hasRevision ? config.DEDUP_TTL : 0,
    })),
  };
}

function classOf({ reason, severity }: FluxEvent, config: DecideConfig): ReasonClass | undefined {
  if (config.FAILURE_REASONS.includes(reason)) return 'failure';
  if (!config.SUCCESS_REASONS.includes(reason)) return undefined;
  // kustomize-controller gives an error while it deletes an object the reason of the Ready condition before it.
  return severity === 'error' ? 'failure' : 'success';
}

/** Whole seconds, as Kubernetes' times are. */
function eventTime({ timestamp }: FluxEvent): number | undefined {
  const ms = Date.parse(timestamp);
  return Number.isNaN(ms) || ms < 0 ? undefined : Math.floor(ms / 1000);
}

/** The repositories that `dispatch_repo` names, each once whatever its case, in the team's spelling. */
function parseRepositories(
  value: string,
  allowedOwners: readonly string[],
): { repositories: readonly string[] } | { fault: string } {
  const byName = new Map<string, string>();
  for (const repo of splitList(value)) {
    if (!isRepository(repo)) {
      return { fault: `dispatch_repo ${quote(repo)} must be owner/name, as in Altinn/dialogporten` };
    }
    if (!isAllowedOwner(repo, allowedOwners)) {
      return { fault: `dispatch_repo ${quote(repo)}: its owner must be one of ${allowedOwners.join(', ')}` };
    }
    const name = repo.toLowerCase();
    if (!byName.has(name)) byName.set(name, repo);
    if (byName.size > MAX_REPOSITORIES) {
      return { fault: `dispatch_repo must name at most ${MAX_REPOSITORIES} repositories` };
    }
  }
  return { repositories: [...byName.values()] };
}

/** Splits at commas, with the spaces (and no other white space) that stand around them. */
function splitList(value: string): string[] {
  return value.split(',').map((entry, index, entries) => {
    let start = 0;
    let end = entry.length;
    if (index > 0) while (entry[start] === ' ') start++;
    if (index < entries.length - 1) while (end > start && entry[end - 1] === ' ') end--;
    return entry.slice(start, end);
  });
}

/** Quotes what the team wrote, without line breaks and at a length that fits a Kubernetes event. */
function quote(value: string): string {
  return JSON.stringify(value.length > 120 ? `${value.slice(0, 120)}…` : value);
}

function skip(outcome: 'ignored_reason' | 'not_routed', message: string): Decision {
  return { kind: 'skip', outcome, message };
}

function reject(outcome: Rejection, message: string): Decision {
  return { kind: 'reject', outcome, message };
}
