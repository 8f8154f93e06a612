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

/** What a dispatch is recognised by: SHA-256 sums in hex. */
export interface Identity {
  /** Two events with the same one tell of the same thing, to the same workflow. */
  readonly dedup_id: string;
  /** Events of one object and class, to one workflow: in the order of their times they are its history. */
  readonly stream_id: string;
  /** The object as its repository knows it, whatever is told of it there. */
  readonly object_id: string;
}

/**
 * The identity of a dispatch. The object and the event type are part of the dedup id, or a second Kustomization of the
 * same artifact and a second Alert on the same repository would be swallowed. GitHub's names ignore case, so the
 * repository's is folded.
 */
export function identify(key: DeploymentKey): Identity {
  const { event, product, environment, cluster, reasonClass, eventType } = key;
  const { kind, namespace, name } = event.involvedObject;
  const repo = key.repo.toLowerCase();
  const object = [cluster, product, environment, kind, namespace, name];
  return {
    dedup_id: sha256([object, reasonClass, event.reason, identityOf(event), repo, eventType]),
    stream_id: sha256([object, reasonClass, repo, eventType]),
    object_id: sha256([object, repo]),
  };
}

function sha256(parts: readonly unknown[]): string {
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
