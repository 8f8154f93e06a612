import { createHash } from 'node:crypto';
import { type FluxEvent, firstLine } from '@flux-dispatch/event/event';
import type { ReasonClass } from '@flux-dispatch/event/reasons';
import type { AlertMetadata } from './alert.ts';

export interface DeploymentKey {
  readonly event: FluxEvent;
  readonly alert: AlertMetadata;
  readonly reasonClass: ReasonClass;
  readonly repo: string;
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
  const { event, alert, reasonClass } = key;
  const { product, env, cluster, dispatch_event } = alert;
  const { kind, namespace, name } = event.involvedObject;
  const repo = key.repo.toLowerCase();
  const object = [cluster, product, env, kind, namespace, name];
  return {
    dedup_id: sha256([object, reasonClass, event.reason, deploymentOf(key), repo, dispatch_event]),
    stream_id: sha256([object, reasonClass, repo, dispatch_event]),
    object_id: sha256([object, repo]),
  };
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
