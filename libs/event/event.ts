import { z } from 'zod';
import { wellFormed } from './well-formed.ts';

// `nullish` rather than `optional`: Go writes a nil map or pointer without `omitempty` as null.
const text = z
  .string()
  .nullish()
  .transform(value => value ?? '');

const eventSchema = z.object({
  involvedObject: z.object({
    kind: z.string().min(1, 'is empty'),
    name: z.string().min(1, 'is empty'),
    namespace: text,
    uid: text,
  }),
  reason: z.string().min(1, 'is empty'),
  severity: text,
  // One that cannot be read counts as the arrival.
  timestamp: z
    .unknown()
    .optional()
    .transform(value => (typeof value === 'string' ? value : '')),
  message: text,
  reportingController: text,
  metadata: z
    .record(z.string(), z.string())
    .nullish()
    .transform(value => value ?? {}),
});

/**
 * A Flux event as notification-controller posts it, with the metadata keys in their bare form.
 * Fields that flux-dispatch has no use for, today's and those of later Flux releases, are dropped.
 * https://fluxcd.io/flux/components/notification/events/
 */
export type FluxEvent = z.infer<typeof eventSchema>;

export type ParsedEvent = { ok: true; event: FluxEvent } | { ok: false; fault: string };

/** Reads a request body as a Flux event. A fault is one line that says what is missing, and where. */
export function parseEvent(body: Buffer): ParsedEvent {
  let json: unknown;
  try {
    json = parseWellFormed(body.toString('utf8'));
  } catch (error) {
    return { ok: false, fault: `the body is not JSON: ${singleLine((error as Error).message)}` };
  }
  const keys = Object.keys((json as { metadata?: object | null } | null)?.metadata ?? {}).length;
  if (keys > MAX_METADATA_KEYS) {
    return { ok: false, fault: `metadata has ${keys} keys, and at most ${MAX_METADATA_KEYS} are allowed` };
  }
  const parsed = eventSchema.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(issue => `${issue.path.join('.') || 'body'}: ${issue.message}`);
    return { ok: false, fault: `the body is not a Flux Event: ${singleLine(faults.slice(0, 5).join('; '))}` };
  }
  return { ok: true, event: { ...parsed.data, metadata: bareKeys(parsed.data.metadata) } };
}

const MAX_METADATA_KEYS = 256;

// Bytes that are no UTF-8 are replaced when they are decoded, so half a character can only come from such an escape.
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** Parses JSON. Half a character (a lone surrogate) becomes U+FFFD: no later step could encode it. */
function parseWellFormed(text: string): unknown {
  const json = JSON.parse(text);
  return SURROGATE_ESCAPE.test(text) ? wellFormed(json) : json;
}

// The group of a Flux API, as in `kustomize.toolkit.fluxcd.io/revision` and `event.toolkit.fluxcd.io/product`.
const API_GROUP = /^[a-z-]+\.toolkit\.fluxcd\.io\/(?=.)/;

/**
 * notification-controller strips the API group from metadata keys before it forwards an event; controllers and
 * direct senders that follow the Event API document do not. A key that arrives bare wins over its prefixed form.
 */
function bareKeys(metadata: Record<string, string>): Record<string, string> {
  const entries = Object.entries(metadata).map(([key, value]) => {
    const bare = key.replace(API_GROUP, '');
    return { bare, value, prefixed: bare !== key };
  });
  // Later entries overwrite earlier ones, so the bare keys go last.
  const ordered = [...entries.filter(entry => entry.prefixed), ...entries.filter(entry => !entry.prefixed)];
  return Object.fromEntries(ordered.map(({ bare, value }) => [bare, value]));
}

function singleLine(value: string): string {
  return value.replace(/\s+/g, ' ').slice(0, 300);
}

/** The first line of a message that says anything: what stays the same when Flux repeats a failure. */
export function firstLine(message: string): string {
  return message.trimStart().split(/\r?\n/, 1)[0] ?? '';
}
