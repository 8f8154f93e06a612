import { createHash } from 'node:crypto';
import { type FluxEvent, firstLine } from '@flux-dispatch/event/event';
import type { ReasonClass } from '@flux-dispatch/event/reasons';
import { parseRevision } from '@flux-dispatch/event/revision';

export interface DeploymentKey {
  readonly event: FluxEvent;
  readonly product: string;
  readonly environment: string;
  readonly cluster: string;
  readonly reasonClass: ReasonClass;
  readonly repo: string;
  readonly eventType: string;
}

/**
 * The dedup id of a dispatch: two events with the same id tell of the same thing, to the same workflow.
 * The object and the event type are part of it, or a second Kustomization of the same artifact and a second Alert on
 * the same repository would be swallowed. GitHub's names ignore case, so the repository's is folded.
 */
export function dedupId(key: DeploymentKey): string {
  const { event, product, environment, cluster, reasonClass, repo, eventType } = key;
  const { kind, namespace, name } = event.involvedObject;
  const parts = [
    ...[product, environment, cluster, kind, namespace, name, reasonClass, event.reason],
    ...[identityOf(event), repo.toLowerCase(), eventType],
  ];
  // As JSON, so that no two lists of parts run together into the same text.
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * What tells one deployment of an object from the next. A chart version alone does not: an upgrade with new values
 * keeps it, and only the message's first line (`…/app.v6 with chart…`) differs. Further lines hold times.
 */
function identityOf({ metadata, message }: FluxEvent): readonly string[] {
  const revision = metadata['revision'] ?? '';
  if (revision === '') return ['message', firstLine(message)];
  const { digest } = parseRevision(revision);
  return digest === undefined ? ['revision', revision, firstLine(message)] : ['digest', digest];
}
