import type { FluxEvent } from '@flux-dispatch/event/event';
import { parseRevision, type Revision } from '@flux-dispatch/event/revision';

/** A revision as the event spells it, with what it says about the artifact. */
export interface AlertRevision extends Revision {
  readonly text: string;
}

/**
 * The metadata of an event: the `eventMetadata` of the Alert, annotations of the object, and what the controller adds.
 * Fields have the names of their keys. Nothing is validated here; `decide` does that.
 */
export interface AlertMetadata {
  /** The namespace of the object, unless the metadata names a product. */
  readonly product: string;
  /** Empty where the key is absent. */
  readonly env: string;
  /** Empty where the key is absent. */
  readonly cluster: string;
  /** Undefined where the key is absent. An empty value is a mistake of its own, so it stays the empty string. */
  readonly dispatch_repo: string | undefined;
  /** `DEFAULT_DISPATCH_EVENT` where the key is absent. An empty value stays empty. */
  readonly dispatch_event: string;
  /** Undefined where the key is absent. An empty value stays empty. */
  readonly dispatch_on: string | undefined;
  /** The reasons that the Alert is narrowed to. Undefined where the key is absent: all. */
  readonly dispatch_reasons: readonly string[] | undefined;
  /** The commit that was deployed, which stays among the rest. Undefined where the key is absent or empty. */
  readonly commit: string | undefined;
  /** Undefined where the key is absent or empty. */
  readonly revision: AlertRevision | undefined;
  /** Undefined where the key is absent or empty. */
  readonly originRevision: string | undefined;
  /** All other entries, in the order of the event. */
  readonly rest: Readonly<Record<string, string>>;
}

/** Reads the metadata of an event. This is the only place that knows its keys. */
export function readAlert(
  { metadata, involvedObject }: FluxEvent,
  { DEFAULT_DISPATCH_EVENT }: { readonly DEFAULT_DISPATCH_EVENT: string },
): AlertMetadata {
  const {
    product = involvedObject.namespace,
    env = '',
    cluster = '',
    dispatch_repo,
    dispatch_event = DEFAULT_DISPATCH_EVENT,
    dispatch_on,
    dispatch_reasons,
    revision,
    originRevision,
    ...rest
  } = metadata;
  return {
    ...{ product, env, cluster, dispatch_repo, dispatch_event, dispatch_on },
    dispatch_reasons: dispatch_reasons?.split(',').map(reason => reason.trim()),
    commit: rest['commit'] || undefined,
    revision: readRevision(revision),
    originRevision: originRevision || undefined,
    rest,
  };
}

function readRevision(text: string | undefined): AlertRevision | undefined {
  return text ? { text, ...parseRevision(text) } : undefined;
}
