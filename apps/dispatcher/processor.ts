import { wellFormed } from '@flux-dispatch/event/well-formed';
import { isAllowedOwner } from '@flux-dispatch/github/allowed-owners';
import { isRepository } from '@flux-dispatch/github/repository';
import type { Verdict } from '@flux-dispatch/github/verdict';
import type { Claims } from '@flux-dispatch/queue/claims';
import { isConnectionError } from '@flux-dispatch/queue/connection-error';
import type { DeadLetters } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { PaceGate } from '@flux-dispatch/queue/limiter';
import type { EndedAttempt, Outages } from '@flux-dispatch/queue/outages';
import { GaveUpWaiting } from '@flux-dispatch/queue/patience';
import { refusalOf } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';
import { DelayedError, RateLimitError, UnrecoverableError } from 'bullmq';
import type { Attempt, Cause, DispatchJob, TakenJob, UnreadableAttempt } from './attempt.ts';
import { begin } from './begin.ts';
import { createBurial } from './burial.ts';
import { createDelivered } from './delivered.ts';
import type { DispatcherMetrics } from './metrics.ts';
import type { RateLimitPause } from './pause.ts';
import { createReport } from './report.ts';

export interface ProcessorDependencies {
  /** undefined in a dry run. */
  readonly github:
    | { attempt(dispatch: Dispatch, mayGo: () => Promise<boolean>): Promise<Verdict | 'held'> }
    | undefined;
  readonly claims: Pick<Claims, 'isDelivered' | 'settleDelivered' | 'settleDead' | 'release'>;
  readonly outages: Pick<Outages, 'beginAttempt' | 'endAttempt' | 'stateOf'>;
  readonly deadLetters: Pick<DeadLetters, 'bury' | 'reasonOf' | 'removeOwn' | 'removeOwnAndOlder'>;
  /** Whether the workflow runs of a dispatch are to be looked for. */
  readonly wantsReceipt: (dispatch: Dispatch) => Promise<boolean>;
  readonly pace: PaceGate;
  readonly pause: RateLimitPause;
  readonly metrics: DispatcherMetrics;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Milliseconds since the epoch, by this process. */
  readonly now: () => number;
  /** The same by the clock that all processes share. A call to Redis. */
  readonly redisTime: () => Promise<number>;
  /** Resets BullMQ's count of how often the worker of a job has died. */
  readonly forgetStalls: (jobId: string) => Promise<unknown>;
  readonly config: {
    readonly ALLOWED_OWNERS: readonly string[];
    /** Milliseconds. */
    readonly DISPATCH_RETRY_WINDOW: number;
    /** Milliseconds. */
    readonly DEAD_LETTER_COOLDOWN: number;
  };
}

// How often a job's worker may die in one attempt before the job itself is suspected.
const MAX_STALLED = 5;

// How often a recovery looks whether the failure before it has ended, and for how long.
const FAILURE_ENDS_MS = 1000;
const FAILURE_HAS_ENDED_MS = 300_000;

const DAY_MS = 86_400_000;

/** The job goes back to its queue, for another attempt after the backoff. */
class Retry extends Error {}

/**
 * One attempt at a dispatch: `attempt → act`. This is the one place where a verdict becomes BullMQ's terms: returning
 * completes the job, an error retries it after the backoff, RateLimitError puts it back as it was, and UnrecoverableError
 * fails it for good.
 */
export function createProcessor(dependencies: ProcessorDependencies): (job: TakenJob) => Promise<void> {
  const {
    github,
    claims,
    outages,
    deadLetters,
    wantsReceipt,
    pace,
    pause,
    metrics,
    log,
    now,
    redisTime,
    config,
  } = dependencies;
  const report = createReport({ metrics, log });
  const burial = createBurial({ claims, deadLetters, report, log, now, config });
  const delivered = createDelivered({ claims, wantsReceipt, log });
  const newsForMs = Math.max(DAY_MS, config.DISPATCH_RETRY_WINDOW);

  async function giveUp(attempt: Attempt | UnreadableAttempt, cause: Cause): Promise<never> {
    throw new UnrecoverableError(await burial.bury(attempt, cause));
  }

  /** Whether a job was queued longer ago than `ms`, which a redrive does again. */
  async function isOlderThan(ms: number, { timestamp }: DispatchJob): Promise<boolean> {
    return (await redisTime()) - timestamp > ms;
  }

  /** The next attempt does not count the workers that died in this one. */
  async function endAttempt({ id, job }: Attempt): Promise<void> {
    if (job.stalledCounter > 0) await dependencies.forgetStalls(id);
  }

  /** GitHub has not accepted it, as far as is known: if it is a failure, no recovery is to wait for it. */
  async function standBack({ dispatch, job }: Attempt, ended: EndedAttempt): Promise<void> {
    if (dispatch.class === 'failure') await outages.endAttempt(dispatch, job.token ?? '', ended);
  }

  async function retry(
    attempt: Attempt,
    { code, message, stack }: Pick<Cause, 'code' | 'message'> & { readonly stack?: string | undefined },
  ): Promise<never> {
    if (await isOlderThan(config.DISPATCH_RETRY_WINDOW, attempt.job)) {
      return giveUp(attempt, { code, message, hint: code === 'internal' ? BUG_HINT : EXPIRED_HINT });
    }
    await endAttempt(attempt);
    report(attempt, { outcome: 'retry', code, message, stack });
    throw new Retry(message);
  }

  /** Acts on what an attempt came to. */
  async function act(attempt: Attempt, verdict: Verdict): Promise<void> {
    const { dispatch, job } = attempt;
    // Before the job ends: BullMQ then leaves a claim alone that has been given a time to live. And before anything else,
    // so that a crash from here on does not send the dispatch again.
    if (verdict.kind === 'delivered') {
      const deliveredAt = await delivered.settle(attempt, verdict.at);
      // What waits for DEPENDENCY_GRACE is not late.
      const dueAt = dispatch.accepted_at + (job.opts.delay ?? 0);
      const tookMs = Math.max(0, deliveredAt - dueAt);
      report(attempt, { outcome: 'delivered', status: Number(verdict.code), tookMs });
    }
    if (verdict.limit) await pause(verdict.limit);

    switch (verdict.kind) {
      case 'delivered':
        return deadLetters.removeOwnAndOlder(dispatch);

      case 'pause':
        await standBack(attempt, 'again');
        await endAttempt(attempt);
        report(attempt, { outcome: 'rate_limited', message: verdict.message });
        throw new RateLimitError();

      case 'retry':
        await standBack(attempt, verdict.isDoubtful ? 'doubtful' : 'again');
        return retry(attempt, verdict);

      case 'dead': {
        const { code, message, hint } = verdict;
        return giveUp(attempt, { code, message, hint });
      }

      default:
        return verdict satisfies never;
    }
  }

  /** BullMQ measures a delay by the clock of the worker, which may be ahead. */
  async function postponeIfEarly(job: TakenJob): Promise<void> {
    const { delay = 0 } = job.opts;
    if (delay === 0 || job.attemptsMade > 0) return;
    const leftMs = job.timestamp + delay - (await redisTime());
    if (leftMs > 0) await postpone(job, leftMs);
  }

  /** It is taken up again later, which uses up no attempt. */
  async function postpone(job: TakenJob, ms: number): Promise<never> {
    await job.moveToDelayed(now() + ms, job.token);
    throw new DelayedError();
  }

  async function run(attempt: Attempt, taken: TakenJob): Promise<void> {
    const { job, id, dispatch } = attempt;
    // An earlier attempt may have got an end that BullMQ has not heard of: its worker died before, or Redis refused a
    // later step. GitHub is not asked again then.
    if (job.stalledCounter > 0 || job.attemptsMade > 0) {
      if ((await delivered.settleLate(attempt)) || (await claims.isDelivered(id, dispatch.dedup_id))) {
        await deadLetters.removeOwnAndOlder(dispatch);
        return report(attempt, { outcome: 'delivered_before' });
      }
      if (await burial.finish(attempt)) throw new UnrecoverableError('It was buried before');
    }
    await postponeIfEarly(taken);
    const begun = await begin(outages, dispatch, job.token ?? '');
    if (begun.kind === 'superseded') {
      await claims.release(id, dispatch, job.timestamp);
      await deadLetters.removeOwn(dispatch);
      return report(attempt, { outcome: 'superseded' });
    }
    if (begun.kind === 'wait' && !(await isOlderThan(FAILURE_HAS_ENDED_MS, job))) {
      return postpone(taken, FAILURE_ENDS_MS);
    }
    if (job.stalledCounter > MAX_STALLED) return giveUp(attempt, STALLED);
    // As after a restored backup. Only where it seems so is the round trip to Redis' clock worth it.
    const seemsOld = dispatch.class === 'failure' && now() - job.timestamp > newsForMs;
    if (seemsOld && (await isOlderThan(newsForMs, job))) return giveUp(attempt, TOO_OLD);
    // The queue is not trusted more than a request.
    if (!isRepository(dispatch.repo) || !isAllowedOwner(dispatch.repo, config.ALLOWED_OWNERS)) {
      return giveUp(attempt, notAllowed(dispatch));
    }
    if (!github) {
      await standBack(attempt, 'never');
      await claims.settleDelivered(id, dispatch);
      return report(attempt, { outcome: 'dry_run' });
    }

    const startedAt = now();
    const verdict = await github.attempt(begun.dispatch, async () => (await pace()) === 0);
    if (verdict === 'held') {
      await standBack(attempt, 'again');
      // Back to its place in the queue, which is held until the next call may go.
      throw new RateLimitError();
    }
    metrics.duration.observe({ code: verdict.code }, (now() - startedAt) / 1000);
    if (verdict.kind === 'delivered') metrics.admit(dispatch);
    return act(attempt, verdict);
  }

  /** Ends an attempt that came to no verdict, because Redis refused a step of it or our own code failed. */
  async function endWithoutVerdict(attempt: Attempt | UnreadableAttempt, error: unknown): Promise<never> {
    if (error instanceof RateLimitError || error instanceof DelayedError) throw error;
    if (error instanceof UnrecoverableError) throw error;
    // These are in the log already.
    if (error instanceof Retry || error instanceof GaveUpWaiting || isConnectionError(error)) throw error;
    const { id, dispatch } = attempt;
    const { message } = error as Error;
    if (refusalOf(error)?.passes || !dispatch) {
      const fields = { dispatch_id: id, error: message };
      log.warn(fields, 'Redis refused a step of the attempt: the dispatch goes back to its queue');
      throw error;
    }
    log.error({ err: error, dispatch_id: id }, 'Unexpected error in an attempt');
    return retry({ ...attempt, dispatch }, { code: 'internal', message });
  }

  return async taken => {
    const job = { ...taken, data: wellFormed(taken.data) };
    const { id } = job;
    if (id === undefined) throw new Error('BullMQ handed over a job without an id');
    const parsed = parseDispatch(job.data);
    if (!parsed.ok) {
      const attempt = { job, id, dispatch: undefined };
      return giveUp(attempt, unreadable(parsed.fault)).catch(error => endWithoutVerdict(attempt, error));
    }
    const attempt = { job, id, dispatch: parsed.dispatch };
    return run(attempt, taken).catch(error => endWithoutVerdict(attempt, error));
  };
}

const EXPIRED_HINT =
  'Every attempt within DISPATCH_RETRY_WINDOW failed. Check GitHub and the network, then retry.';

const BUG_HINT =
  'This is a bug in flux-dispatch: every attempt within DISPATCH_RETRY_WINDOW failed. Report it with the log lines of this dispatch_id, and retry after upgrading to a version that fixes it.';

const TOO_OLD: Cause = {
  code: 'internal',
  message: 'This failure was queued too long ago to be sent automatically',
  hint: 'It may come from a restored backup of Redis. Press Retry to send it anyway, or remove it.',
};

const STALLED: Cause = {
  code: 'internal',
  message: `The worker crashed more than ${MAX_STALLED} times in one attempt at this dispatch`,
  hint: "Look for what kills the dispatcher (memory limit, liveness probe) in its pods' events, then retry.",
};

function notAllowed({ repo }: Dispatch): Cause {
  return {
    code: 'internal',
    message: `The owner of ${JSON.stringify(repo)} is not in ALLOWED_OWNERS of the dispatcher`,
    hint: 'Give ingest and dispatcher the same ALLOWED_OWNERS, then retry.',
  };
}

/** For a job that is no dispatch, as far as this version can tell. Its dead letter keeps it as it is. */
function unreadable(fault: string): Cause {
  return {
    code: 'internal',
    message: `This version cannot read the job as a dispatch: ${fault}`,
    hint: 'Upgrade the dispatcher to the version of ingest, then retry. If ingest did not queue it, remove it.',
  };
}
