import { setTimeout as delay } from 'node:timers/promises';
import { classify, type ErrorCode, type Verdict } from '@flux-dispatch/github/classify';
import type { GitHub } from '@flux-dispatch/github/github';
import { isAllowedOwner, isRepository } from '@flux-dispatch/github/repository';
import type { Claims } from '@flux-dispatch/queue/claims';
import { type DeadLetters, deathReason } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, dispatchName, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Pause } from '@flux-dispatch/queue/pause';
import type { Logger } from '@flux-dispatch/runtime/log';
import { type Job, RateLimitError, UnrecoverableError } from 'bullmq';
import type { DispatcherMetrics } from './metrics.ts';

export interface ProcessorDependencies {
  /** undefined in a dry run. */
  readonly github: GitHub | undefined;
  readonly claims: Claims;
  readonly deadLetters: DeadLetters;
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

export type DispatchJob = Pick<
  Job<unknown>,
  'id' | 'name' | 'data' | 'timestamp' | 'attemptsMade' | 'stalledCounter' | 'deduplicationId'
>;

// So often a job's worker may die on it before it is the job that is suspected.
const MAX_STALLED = 5;

/**
 * One attempt at a dispatch: `send → classify → act`. This is the one place where a verdict becomes BullMQ's terms:
 * returning completes the job, an error retries it after the backoff, RateLimitError puts it back as it was, and
 * UnrecoverableError fails it for good.
 */
export function createProcessor(dependencies: ProcessorDependencies): (job: DispatchJob) => Promise<void> {
  const { github, claims, deadLetters, metrics, log, now, config } = dependencies;

  return async job => {
    const parsed = parseDispatch(job.data);
    if (!parsed.ok) return dieUnreadable(job, parsed.fault, dependencies);
    const { dispatch } = parsed;
    const attempt: Attempt = { job, id: job.id ?? dispatch.payload.dispatch_id, dispatch };

    const again = job.stalledCounter > 0 || job.attemptsMade > 0;
    const end = again ? await unfinishedEnd(attempt, dependencies) : undefined;
    if (end === 'delivered') {
      await deadLetters.discharge(dispatch, 'and older');
      log.info({ outcome: 'delivered_before', ...about(attempt) }, 'Dispatch');
      return;
    }
    if (end === 'dead') {
      await claims.settleDead(attempt.id, dispatch.dedup_id, config.DEAD_LETTER_COOLDOWN, job.timestamp);
      throw new UnrecoverableError('It was buried before');
    }
    if (job.stalledCounter > MAX_STALLED) return act(attempt, STALLED, dependencies);

    if (await claims.isSuperseded(dispatch)) {
      await claims.settleDead(attempt.id, dispatch.dedup_id, 0, job.timestamp);
      await deadLetters.discharge(dispatch, undefined);
      metrics.superseded.inc();
      log.info({ outcome: 'superseded', ...about(attempt) }, 'Dispatch');
      return;
    }
    const refusal = refuse(dispatch, config.ALLOWED_OWNERS);
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

/**
 * How a job had ended when its worker died before it could say so to BullMQ, or when Redis refused a later step and the
 * job was tried again for that: GitHub is not asked again.
 */
async function unfinishedEnd(
  { job, id, dispatch: { dedup_id } }: Attempt,
  { claims, deadLetters }: ProcessorDependencies,
): Promise<'delivered' | 'dead' | undefined> {
  if (await claims.isDelivered(id, dedup_id)) return 'delivered';
  const buried = await deadLetters.isBuried({ dispatch_id: id, dedup_id, run: job.timestamp });
  return buried ? 'dead' : undefined;
}

const STALLED: Dead = {
  kind: 'dead',
  code: 'internal',
  message: `Its worker died on it more than ${MAX_STALLED} times`,
  hint: "Look for what kills the dispatcher (memory limit, liveness probe) in its pods' events, then retry.",
};

type Dead = Extract<Verdict, { kind: 'dead' }>;

interface Attempt {
  readonly job: DispatchJob;
  readonly id: string;
  readonly dispatch: Dispatch;
}

/** What makes a job undeliverable before GitHub is asked: the queue is not trusted more than a request. */
function refuse({ repo }: Dispatch, owners: readonly string[]): Dead | undefined {
  if (isRepository(repo) && isAllowedOwner(repo, owners)) return undefined;
  return {
    kind: 'dead',
    code: 'internal',
    message: `The owner of ${JSON.stringify(repo)} is not in ALLOWED_OWNERS of the dispatcher`,
    hint: 'Give ingest and dispatcher the same ALLOWED_OWNERS, then retry.',
  };
}

async function act(attempt: Attempt, verdict: Verdict, dependencies: ProcessorDependencies): Promise<void> {
  const { claims, deadLetters, pause, metrics, log, now, config } = dependencies;
  const { job, id, dispatch } = attempt;

  switch (verdict.kind) {
    case 'delivered':
      // Before the job ends: BullMQ then leaves a claim alone that has been given a time to live. And before anything
      // else, so that a crash from here on is no second dispatch.
      await untilTaken(() => claims.settleDelivered(id, dispatch));
      if (verdict.limit) await pause(verdict.limit);
      await deadLetters.discharge(dispatch, 'and older');
      metrics.dispatches.inc(dispatchLabels(dispatch, metrics));
      metrics.endToEnd.observe((now() - dispatch.accepted_at) / 1000);
      log.info({ outcome: 'delivered', ...about(attempt), status: Number(verdict.code) }, 'Dispatch');
      return;

    case 'pause':
      await pause(verdict.limit);
      log.warn({ outcome: 'rate_limited', ...about(attempt), error: verdict.message }, 'Dispatch');
      throw new RateLimitError();

    case 'retry':
      if (verdict.limit) await pause(verdict.limit);
      // Since it was queued, which a redrive does anew.
      if (now() - job.timestamp > config.DISPATCH_RETRY_WINDOW) {
        return die(attempt, { ...verdict, kind: 'dead', hint: EXPIRED_HINT }, dependencies);
      }
      countError(verdict.code, attempt, dependencies);
      metrics.retries.inc({ error_code: verdict.code });
      log.warn({ outcome: 'retry', ...about(attempt), error: verdict.message }, 'Dispatch');
      throw new Error(verdict.message);

    case 'dead':
      if (verdict.limit) await pause(verdict.limit);
      return die(attempt, verdict, dependencies);

    default:
      return verdict satisfies never;
  }
}

/** What a Redis answers that is there, and takes no writes for now: without replicas, with a full disk, in a failover. */
const REFUSED_FOR_NOW = /^(NOREPLICAS|MISCONF|READONLY|OOM|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;
const ASK_AGAIN_MS = 250;

/** Repeats a write until Redis takes it. One that is away is waited for by the connection itself. */
async function untilTaken(write: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!REFUSED_FOR_NOW.test((error as Error).message)) throw error;
      await delay(ASK_AGAIN_MS);
    }
  }
}

const EXPIRED_HINT =
  'It was tried until DISPATCH_RETRY_WINDOW was over. See to GitHub or the network, then retry.';

/** Gives a dispatch up. At whichever step a crash comes in between, the next worker takes it up at that step. */
async function die(attempt: Attempt, verdict: Dead, dependencies: ProcessorDependencies): Promise<never> {
  const { claims, deadLetters, metrics, log, now, config } = dependencies;
  const { job, id, dispatch } = attempt;
  const { code, message, hint } = verdict;
  countError(code, attempt, dependencies);
  const { dedup_id } = dispatch;
  const death = {
    ...{ hint, error: { code, message }, attempts: job.attemptsMade + 1 },
    ...{ dispatch_id: id, dedup_id, run: job.timestamp, dispatch, before: dispatch.died },
  };
  const { written } = await deadLetters.bury(dispatchName(dispatch), death, now());
  await claims.settleDead(id, dedup_id, config.DEAD_LETTER_COOLDOWN, job.timestamp);
  if (written) metrics.deadLetters.inc({ ...metrics.labels(dispatch), error_code: code });
  log.error({ outcome: 'dead', ...about(attempt), error: message, hint }, 'Dispatch');
  throw new UnrecoverableError(deathReason(death));
}

/** The same for a job that is no dispatch, as far as this version can tell. It is kept as it is. */
async function dieUnreadable(
  job: DispatchJob,
  fault: string,
  { claims, deadLetters, metrics, log, now, config }: ProcessorDependencies,
): Promise<never> {
  const id = job.id ?? '';
  const death = {
    hint: 'Upgrade the dispatcher to the version of ingest, then retry; or discard it, where nobody knows it.',
    error: { code: 'internal', message: `The job is no dispatch that this version can read: ${fault}` },
    attempts: job.attemptsMade + 1,
    ...{ dispatch_id: id, dedup_id: job.deduplicationId, run: job.timestamp, dispatch: job.data },
    before: undefined,
  };
  const { written } = await deadLetters.bury(job.name, death, now());
  if (job.deduplicationId !== undefined) {
    await claims.settleDead(id, job.deduplicationId, config.DEAD_LETTER_COOLDOWN, job.timestamp);
  }
  if (written) metrics.deadLetters.inc({ repo: 'other', event_type: 'other', error_code: 'internal' });
  log.error({ outcome: 'dead', dispatch_id: id, error: death.error.message, hint: death.hint }, 'Dispatch');
  throw new UnrecoverableError(deathReason(death));
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
