import { isAllowedOwner, isRepository } from '@flux-dispatch/event/repository';
import type { Claims } from '@flux-dispatch/queue/claims';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Job, RateLimitError, UnrecoverableError } from 'bullmq';
import { classify, type ErrorCode, type RateLimit, type Verdict } from './classify.ts';
import type { GitHub } from './github.ts';
import type { DispatcherMetrics } from './metrics.ts';
import type { Pause } from './pause.ts';

export interface ProcessorDependencies {
  /** undefined in a dry run. */
  readonly github: GitHub | undefined;
  readonly claims: Claims;
  readonly pause: Pause;
  readonly metrics: DispatcherMetrics;
  readonly log: Logger;
  readonly now: () => number;
  readonly config: {
    readonly ALLOWED_OWNERS: readonly string[];
    /** Milliseconds. */
    readonly DISPATCH_RETRY_WINDOW: number;
    /** Milliseconds. */
    readonly DEAD_LETTER_COOLDOWN: number;
  };
}

export type DispatchJob = Pick<Job<unknown>, 'id' | 'data' | 'attemptsMade' | 'stalledCounter'>;

/**
 * One attempt at a dispatch: `send → classify → act`. This is the one place where a verdict becomes BullMQ's terms:
 * returning completes the job, an error retries it after the backoff, RateLimitError puts it back as it was, and
 * UnrecoverableError fails it for good.
 */
export function createProcessor(dependencies: ProcessorDependencies): (job: DispatchJob) => Promise<void> {
  const { github, claims, metrics, log, now } = dependencies;

  return async job => {
    const parsed = parseDispatch(job.data);
    if (!parsed.ok) {
      log.error({ outcome: 'dead', dispatch_id: job.id, error: parsed.fault }, 'Dispatch');
      throw new UnrecoverableError(`The job is not a dispatch that this version can read: ${parsed.fault}`);
    }
    const { dispatch } = parsed;
    const attempt: Attempt = { job, id: job.id ?? dispatch.payload.dispatch_id, dispatch };

    // The worker before this one died between recording the delivery and ending the job.
    if (job.stalledCounter > 0 && (await claims.isDelivered(attempt.id, dispatch))) {
      log.info({ outcome: 'delivered_before', ...about(attempt) }, 'Dispatch');
      return;
    }
    const refusal = refuse(dispatch, dependencies.config.ALLOWED_OWNERS);
    if (refusal) return act(attempt, refusal, dependencies);

    if (!github) {
      await claims.settleDelivered(attempt.id, dispatch);
      metrics.dryRunDispatches.inc(dispatchLabels(dispatch, metrics));
      log.info({ outcome: 'dry_run', ...about(attempt) }, 'Dispatch');
      return;
    }
    const startedAt = now();
    const result = await github.send(dispatch);
    const verdict = classify(result, dispatch.repo, now());
    metrics.duration.observe({ code: verdict.code }, (now() - startedAt) / 1000);
    if (
      result.kind === 'response' &&
      result.step === 'dispatch' &&
      (result.status < 300 || result.status === 404)
    ) {
      metrics.admit(dispatch);
    }
    return act(attempt, verdict, dependencies);
  };
}

interface Attempt {
  readonly job: DispatchJob;
  readonly id: string;
  readonly dispatch: Dispatch;
}

/** What makes a job undeliverable before GitHub is asked: the queue is not trusted more than a request. */
function refuse(
  { repo }: Dispatch,
  owners: readonly string[],
): Extract<Verdict, { kind: 'dead' }> | undefined {
  if (isRepository(repo) && isAllowedOwner(repo, owners)) return undefined;
  return {
    kind: 'dead',
    code: 'internal',
    message: `The owner of ${JSON.stringify(repo)} is not in ALLOWED_OWNERS of the dispatcher`,
    hint: 'Give ingest and dispatcher the same ALLOWED_OWNERS, then retry.',
  };
}

async function act(attempt: Attempt, verdict: Verdict, dependencies: ProcessorDependencies): Promise<void> {
  const { claims, metrics, log, now, config } = dependencies;
  const { id, dispatch } = attempt;
  if (verdict.limit) await applyLimit(verdict.limit, dependencies);

  switch (verdict.kind) {
    case 'delivered':
      // Before the job ends: BullMQ then leaves a claim alone that has been given a time to live.
      await claims.settleDelivered(id, dispatch);
      metrics.dispatches.inc(dispatchLabels(dispatch, metrics));
      metrics.endToEnd.observe((now() - dispatch.accepted_at) / 1000);
      log.info({ outcome: 'delivered', ...about(attempt), status: Number(verdict.code) }, 'Dispatch');
      return;

    case 'pause':
      log.warn({ outcome: 'rate_limited', ...about(attempt), error: verdict.message }, 'Dispatch');
      throw new RateLimitError();

    case 'retry': {
      countError(verdict.code, attempt, dependencies);
      if (now() - dispatch.accepted_at > config.DISPATCH_RETRY_WINDOW) {
        return die(attempt, { ...verdict, kind: 'dead', hint: EXPIRED_HINT }, dependencies);
      }
      metrics.retries.inc({ error_code: verdict.code });
      log.warn({ outcome: 'retry', ...about(attempt), error: verdict.message }, 'Dispatch');
      throw new Error(verdict.message);
    }
    case 'dead':
      countError(verdict.code, attempt, dependencies);
      return die(attempt, verdict, dependencies);

    default:
      return verdict satisfies never;
  }
}

const EXPIRED_HINT =
  'It was tried until DISPATCH_RETRY_WINDOW was over. See to GitHub or the network, then retry.';

async function die(
  attempt: Attempt,
  { message, hint }: Extract<Verdict, { kind: 'dead' }>,
  { claims, log, config }: ProcessorDependencies,
): Promise<never> {
  await claims.settleDead(attempt.id, attempt.dispatch, config.DEAD_LETTER_COOLDOWN);
  log.error({ outcome: 'dead', ...about(attempt), error: message, hint }, 'Dispatch');
  throw new UnrecoverableError(`${message}. ${hint}`);
}

async function applyLimit(limit: RateLimit, { pause, metrics, log }: ProcessorDependencies): Promise<void> {
  const pausedMs = await pause(limit);
  metrics.rateLimited.inc({ kind: limit.kind });
  log.warn(
    { limit: limit.kind, pause_ms: pausedMs },
    "GitHub's rate limit: the queue pauses on every replica",
  );
}

function countError(code: ErrorCode, { dispatch }: Attempt, { metrics }: ProcessorDependencies): void {
  metrics.errors.inc({ ...metrics.labels(dispatch), error_code: code });
  if (code === '401' || code === 'auth') metrics.authErrors.inc();
}

function dispatchLabels(dispatch: Dispatch, metrics: DispatcherMetrics) {
  return { ...metrics.labels(dispatch), reason: metrics.reasonLabel(dispatch.payload.reason) };
}

/** What a log line says of an attempt. */
function about({ job, id, dispatch }: Attempt) {
  const { repo, event_type, payload } = dispatch;
  return {
    product: payload.product,
    env: payload.environment,
    repo,
    event_type,
    reason: payload.reason,
    dispatch_id: id,
    attempt: job.attemptsMade + 1,
  };
}
