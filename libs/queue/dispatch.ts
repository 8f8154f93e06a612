import { z } from 'zod';

const reasonClass = z.enum(['success', 'failure', 'recovery']);

/**
 * What a workflow finds in `github.event.client_payload`. GitHub takes at most 10 keys at the top level: these are 9.
 */
export const clientPayloadSchema = z.object({
  product: z.string(),
  environment: z.string(),
  commit_sha: z.string(),
  revision: z.string(),
  kustomization_name: z.string(),
  reason: z.string(),
  message: z.string(),
  /** The same over every retry of this dispatch. */
  dispatch_id: z.string().min(1),
  flux: z.object({
    kind: z.string(),
    namespace: z.string(),
    name: z.string(),
    severity: z.string(),
    timestamp: z.string(),
    /** Absent in what an older ingest queued. */
    class: reasonClass.optional(),
    /**
     * Of a failure, and of the recovery from it: the outage of the object. A failure gets it when it is sent, and is queued
     * without.
     */
    outage: z
      .object({
        /** The same for each failure of an outage, and for its recovery. */
        id: z.string(),
        /** When the failure that opened it happened. */
        since: z.iso.datetime(),
        /** Of a recovery: how long it lasted. */
        duration_seconds: z.number().int().optional(),
      })
      .optional(),
    origin_revision: z.string(),
    cluster: z.string(),
    controller: z.string(),
    metadata: z.record(z.string(), z.string()),
    truncated: z.literal(true).optional(),
  }),
});

export type ClientPayload = z.infer<typeof clientPayloadSchema>;

const anyDispatch = z.object({
  version: z.literal([1, 2]),
  /** The SHA-256 that BullMQ's deduplication claims for this dispatch, in hex. */
  dedup_id: z.string().regex(/^[0-9a-f]{64}$/),
  /** `owner/name`, in the team's spelling. */
  repo: z.string().min(1),
  event_type: z.string().min(1),
  class: reasonClass,
  /** The SHA-256 of the object and the repository: a success of it makes its older failures pointless. In hex. */
  object_id: z.string().regex(/^[0-9a-f]{64}$/),
  /** When it happened, by the event's timestamp, in seconds since the epoch. */
  event_time: z.number().int().nonnegative(),
  /** When ingest accepted the event, in milliseconds since the epoch. */
  accepted_at: z.number().int().nonnegative(),
  /** What became of it before an operator had it tried anew. */
  died: z.object({ times: z.number().int(), first_at: z.iso.datetime() }).optional(),
  /** The stream that remembers it once it is delivered. Absent where its claim alone does. */
  stream_id: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  claim: z.object({
    /** How long the claim lives on once the dispatch is delivered, in milliseconds. */
    delivered_ttl_ms: z.number().int().positive(),
    /** A dispatcher from before streams were remembered cannot read a dispatch without it. */
    max_delivered: z.number().int().positive().optional(),
  }),
  /** Of a failure: how long its outage is remembered, as ingest is configured. Absent in what an older ingest queued. */
  outage_memory: z
    .object({
      ttl_ms: z.number().int().positive(),
      max_entries: z.number().int().positive(),
      keep_ms: z.number().int().nonnegative(),
    })
    .optional(),
  /** Of a recovery: a failure of its outage was known to be delivered when it was queued. */
  outage_confirmed: z.boolean().optional(),
  payload: clientPayloadSchema,
});

/**
 * A dispatch on the queue: the contract between ingest and dispatcher, which are deployed separately and parse it on
 * both sides. A field may be added as optional; any other change takes a new `version`. A recovery has 2: a dispatcher from
 * before there were any cannot tell what to wait for.
 */
export const dispatchSchema = anyDispatch.refine(
  dispatch => dispatch.version === (dispatch.class === 'recovery' ? 2 : 1),
  { path: ['version'], error: 'Invalid input: a recovery has version 2, everything else version 1' },
);

/** An outage as workflows see it. */
export type Outage = NonNullable<ClientPayload['flux']['outage']>;

export type Dispatch = z.infer<typeof dispatchSchema>;

export type ParsedDispatch = { ok: true; dispatch: Dispatch } | { ok: false; fault: string };

/** Reads a job's data as a dispatch. A fault is one line that says what is wrong with it. */
export function parseDispatch(data: unknown): ParsedDispatch {
  const parsed = dispatchSchema.safeParse(data);
  // As it came: a field that a newer ingest has added is to reach GitHub, and the dead letter.
  if (parsed.success) return { ok: true, dispatch: data as Dispatch };
  const faults = parsed.error.issues.map(issue => `${issue.path.join('.') || 'job'}: ${issue.message}`);
  return { ok: false, fault: faults.slice(0, 5).join('; ') };
}

/** What a person recognises a dispatch by in a list of jobs. */
export function dispatchName({ repo, event_type, payload }: Dispatch): string {
  return [repo, event_type, payload.environment, payload.reason].filter(part => part !== '').join(' ');
}
