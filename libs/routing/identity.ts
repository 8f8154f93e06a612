import { createHash } from 'node:crypto';
import { type FluxEvent, firstLine } from '@flux-dispatch/event/event';
import type { EventClass, ReasonClass } from '@flux-dispatch/event/reasons';
import type { AlertMetadata } from './alert.ts';

/** An event and where it is to be dispatched to. */
export interface Target {
  readonly event: FluxEvent;
  readonly alert: AlertMetadata;
  readonly repo: string;
}

export interface DeploymentKey extends Target {
  readonly reasonClass: EventClass;
}

export interface RecoveryKey extends Target {
  /** The id of the outage that ended. */
  readonly outageId: string;
}

/** What a dispatch is recognised by: SHA-256 sums in hex. */
export interface Identity {
  /** The same for two events that report the same deployment to the same workflow. */
  readonly dedup_id: string;
  /** The same for all events of one object and class to one workflow. In the order of their times they are its history. */
  readonly stream_id: string;
  /** The same for all events of one object to one repository, whatever their class and event type. */
  readonly object_id: string;
}

/**
 * The identity of a dispatch. The object and the event type are part of the dedup id, or a second Kustomization of the
 * same artifact and a second Alert on the same repository would be swallowed. GitHub's names ignore case, so the
 * repository's is folded.
 */
export function identify(key: DeploymentKey): Identity {
  const { event, reasonClass } = key;
  return identityOf(key, reasonClass, [event.reason, deploymentOf(key)]);
}

/**
 * The identity of a recovery. An outage ends once, whichever success is the first to say so: an upgrade and the tests after
 * it are one recovery.
 */
export function identifyRecovery(key: RecoveryKey): Identity {
  return identityOf(key, 'recovery', ['', [key.outageId]]);
}

/** The id of an object towards a repository. */
export function objectId({ event, alert, repo }: Target): string {
  return sha256([objectOf(event, alert), repo.toLowerCase()]);
}

function identityOf(
  target: Target,
  reasonClass: ReasonClass,
  what: readonly [reason: string, identity: readonly string[]],
): Identity {
  const { event, alert } = target;
  const object = objectOf(event, alert);
  const workflow = [target.repo.toLowerCase(), alert.dispatch_event];
  return {
    dedup_id: sha256([object, reasonClass, ...what, ...workflow]),
    stream_id: sha256([object, reasonClass, ...workflow]),
    object_id: objectId(target),
  };
}

function objectOf(event: FluxEvent, { product, env, cluster }: AlertMetadata): readonly string[] {
  const { kind, namespace, name } = event.involvedObject;
  return [cluster, product, env, kind, namespace, name];
}

function sha256(parts: readonly unknown[]): string {
  // As JSON, so that no two lists of parts run together into the same text.
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * What distinguishes one deployment of an object from the next, and one failure from the next.
 *
 * A success is a deployment of an object, which gets a new uid when it is created again. A chart version alone does not
 * identify one: an upgrade with new values keeps it, and only the message's first line (`…/app.v6 with chart…`) differs.
 * Further lines contain times.
 *
 * A failure has nothing of its message: controllers compose it at run time, and every retry says it in other words. Its
 * reason is part of the dedup id already.
 */
function deploymentOf({ event, alert: { revision }, reasonClass }: DeploymentKey): readonly string[] {
  if (reasonClass === 'failure') return [revision?.digest ?? revision?.text ?? ''];
  const { uid } = event.involvedObject;
  if (revision?.digest !== undefined) return [uid, revision.digest];
  return [uid, revision?.text ?? '', releaseOf(event.message)];
}

/**
 * What a message says of a release: its first line. That of a Kustomization says only how long the reconciliation took and when
 * the next one is, and differs at every interval.
 */
function releaseOf(message: string): string {
  const line = firstLine(message);
  return /^Reconciliation finished in \S+, next run in \S+$/.test(line) ? '' : line;
}
