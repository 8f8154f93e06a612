import type { FluxEvent } from '@flux-dispatch/event/event';
import { parseRevision } from '@flux-dispatch/event/revision';
import type { ClientPayload } from '@flux-dispatch/queue/dispatch';

/** GitHub refuses a `client_payload` of 64 KB. What is left to that is for the request around it. */
export const MAX_PAYLOAD_BYTES = 60_000;
export const MAX_MESSAGE_LENGTH = 1024;
// Twice what Kubernetes lets a name have. With it, all fields but the metadata stay under 60 KB even if every
// character has to be escaped.
const MAX_FIELD_LENGTH = 512;

/** The metadata keys that have a place of their own in the payload or in the request. */
const CONSUMED = new Set([
  'product',
  'env',
  'cluster',
  'revision',
  'originRevision',
  'dispatch_repo',
  'dispatch_event',
  'dispatch_on',
]);

/** A payload but for its id, which it gets when it is enqueued. */
export type UnsentPayload = Omit<ClientPayload, 'dispatch_id'>;

/**
 * What the workflow gets as `github.event.client_payload`. It is made when the event is accepted and queued as it is,
 * so every retry sends the same bytes. Entries of the metadata that would take it past 60 KB are left out, with
 * `flux.truncated`.
 */
export function clientPayload(event: FluxEvent): UnsentPayload {
  const { involvedObject, metadata } = event;
  const revision = metadata['revision'] ?? '';
  const originRevision = metadata['originRevision'] ?? '';
  const payload: UnsentPayload = {
    product: field(productOf(event)),
    environment: field(metadata['env'] ?? ''),
    commit_sha: parseRevision(originRevision).commitSha ?? parseRevision(revision).commitSha ?? '',
    revision: field(revision),
    kustomization_name: field(involvedObject.name),
    reason: field(event.reason),
    message: truncate(event.message, MAX_MESSAGE_LENGTH),
    flux: {
      kind: field(involvedObject.kind),
      namespace: field(involvedObject.namespace),
      name: field(involvedObject.name),
      severity: field(event.severity),
      timestamp: field(event.timestamp),
      origin_revision: field(originRevision),
      cluster: field(metadata['cluster'] ?? ''),
      controller: field(event.reportingController),
      metadata: {},
    },
  };
  const rest = Object.entries(metadata).filter(([key]) => !CONSUMED.has(key));
  const fitting = entriesWithin(rest, MAX_PAYLOAD_BYTES - jsonBytes(payload) - ENVELOPE_BYTES);
  payload.flux.metadata = Object.fromEntries(fitting);
  if (fitting.length < rest.length) payload.flux.truncated = true;
  return payload;
}

/** The product an event is about: as the Alert says, else the namespace. */
export function productOf({ metadata, involvedObject }: FluxEvent): string {
  return metadata['product'] ?? involvedObject.namespace;
}

// `"dispatch_id":"<uuid>",` and `,"truncated":true`.
const ENVELOPE_BYTES = 100;

function entriesWithin(entries: readonly [string, string][], budget: number): [string, string][] {
  let left = budget;
  return entries.filter(([key, value]) => {
    const bytes = jsonBytes({ [key]: value });
    if (bytes > left) return false;
    left -= bytes;
    return true;
  });
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function field(value: string): string {
  return truncate(value, MAX_FIELD_LENGTH);
}

/** Cuts text at `length` UTF-16 units, or one before that where it would split a surrogate pair. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
