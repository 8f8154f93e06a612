import { type DeadLetter, deadLetterSchema } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import { type Receipt, type ReceiptRun, readReceipt } from '@flux-dispatch/queue/receipt';

/** A dispatch as a person reads it: what it is about first, times as times. What cannot be read is shown as it is. */
export function readableDispatch(data: unknown): unknown {
  const parsed = parseDispatch(data);
  return parsed.ok ? describe(parsed.dispatch) : data;
}

function describe({ repo, event_type, payload, dedup_id, accepted_at, died, ...rest }: Dispatch) {
  const { product, environment, reason, message, revision, commit_sha, dispatch_id, flux } = payload;
  return {
    repository: repo,
    event_type,
    ...{ product, environment, reason, message, revision, commit_sha },
    object: `${flux.kind} ${flux.namespace}/${flux.name}`,
    happened_at: new Date(rest.event_time * 1000).toISOString(),
    accepted_at: new Date(accepted_at).toISOString(),
    ...(died && { died }),
    ...{ dispatch_id, dedup_id, flux },
  };
}

/** A dead letter as a person reads it: what to do first, then why, then about what. */
export function readableDeadLetter(data: unknown): unknown {
  const parsed = deadLetterSchema.safeParse(data);
  return parsed.success ? describeDeadLetter(parsed.data) : data;
}

function describeDeadLetter({ hint, error, dispatch, run: _, ...entry }: DeadLetter) {
  const { attempts, deaths, first_died_at, last_died_at, dispatch_id } = entry;
  return {
    hint,
    error,
    ...{ attempts, deaths, first_died_at, last_died_at, dispatch_id },
    dispatch: readableDispatch(dispatch),
  };
}

/** A receipt as a person reads it: what to do first, then the runs, then about what. */
export function readableReceipt(data: unknown): unknown {
  const receipt = readReceipt(data);
  return receipt ? describeReceipt(receipt) : data;
}

function describeReceipt({ finding, resent, runs, dispatch: _, repo, ...about }: Receipt) {
  return {
    ...(finding !== undefined && { finding }),
    ...(resent && { resent }),
    ...(runs.length === 0 && { runs: 'none has been seen' }),
    // Bull Board folds what is in an array here.
    ...Object.fromEntries(
      runs.map((run, n) => [runs.length === 1 ? 'run' : `run_${n + 1}`, describeRun(run)]),
    ),
    dispatch: { repository: repo, ...about },
  };
}

function describeRun({ url, workflow, status, conclusion, match, created_at, updated_at }: ReceiptRun) {
  return { url, workflow, conclusion: conclusion ?? status, match, created_at, updated_at };
}
