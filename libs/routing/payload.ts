import type { FluxEvent } from '@flux-dispatch/event/event';
import type { ReasonClass } from '@flux-dispatch/event/reasons';
import { parseCommit } from '@flux-dispatch/event/revision';
import type { ClientPayload, Outage } from '@flux-dispatch/queue/dispatch';
import type { AlertMetadata } from './alert.ts';
import { truncate } from './text.ts';

// GitHub refuses a `client_payload` of 64 KB. The difference is for the request around it.
const MAX_PAYLOAD_BYTES = 60_000;
const MAX_MESSAGE_LENGTH = 1024;
// Twice what Kubernetes lets a name have. With it, all fields but the metadata stay under 60 KB even if every
// character has to be escaped.
const MAX_FIELD_LENGTH = 512;

/** A payload without its id, which it gets when it is enqueued. */
export type PayloadWithoutId = Omit<ClientPayload, 'dispatch_id'>;

/**
 * What the workflow gets as `github.event.client_payload`. It is made when the event is accepted and queued as it is,
 * so every retry sends the same. Only the outage of a failure is added when that is sent. Entries of the metadata that would take it past 60 KB are left out, with
 * `flux.truncated`.
 * @param outage the one that a recovery has ended
 */
export function clientPayload(
  event: FluxEvent,
  alert: AlertMetadata,
  reasonClass: ReasonClass,
  outage?: Outage,
): PayloadWithoutId {
  const { involvedObject } = event;
  const { product, env, cluster, revision, originRevision } = alert;
  const payload: PayloadWithoutId = {
    product: field(product),
    environment: field(env),
    commit_sha: commitSha(alert) ?? '',
    revision: field(revision?.text ?? ''),
    kustomization_name: field(involvedObject.name),
    reason: field(event.reason),
    message: firstCharacters(event.message, MAX_MESSAGE_LENGTH),
    flux: {
      kind: field(involvedObject.kind),
      namespace: field(involvedObject.namespace),
      name: field(involvedObject.name),
      severity: field(event.severity),
      timestamp: field(event.timestamp),
      class: reasonClass,
      origin_revision: field(originRevision ?? ''),
      cluster: field(cluster),
      controller: field(event.reportingController),
      ...(outage && { outage }),
      metadata: {},
    },
  };
  const rest = Object.entries(alert.rest);
  const fitting = entriesWithin(rest, MAX_PAYLOAD_BYTES - jsonBytes(payload) - ENVELOPE_BYTES);
  payload.flux.metadata = Object.fromEntries(fitting);
  if (fitting.length < rest.length) payload.flux.truncated = true;
  return payload;
}

/** The commit that was deployed, by the first of the entries that names one. */
function commitSha({ commit, originRevision, revision }: AlertMetadata): string | undefined {
  return parseCommit(commit ?? '') ?? parseCommit(originRevision ?? '') ?? revision?.commitSha;
}

// `"dispatch_id":"<uuid>",` and `,"truncated":true`, and of a failure `,"outage":{"id":"<uuid>","since":"<time>"}`.
const ENVELOPE_BYTES = 200;

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

/** Characters are counted as GitHub counts them: an emoji is one. */
function firstCharacters(text: string, count: number): string {
  return text.length <= count ? text : [...text.slice(0, 2 * count)].slice(0, count).join('');
}

function field(value: string): string {
  return truncate(value, MAX_FIELD_LENGTH);
}
