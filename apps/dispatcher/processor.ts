import { isAllowedOwner } from '@flux-dispatch/github/allowed-owners';
import { isRepository } from '@flux-dispatch/github/repository';
import type { Verdict } from '@flux-dispatch/github/verdict';
import type { Claims } from '@flux-dispatch/queue/claims';
import type { DeadLetters } from '@flux-dispatch/queue/dead-letter';
import { type Dispatch, parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Logger } from '@flux-dispatch/runtime/log';
import { RateLimitError, UnrecoverableError } from 'bullmq';
import type { Attempt, Cause, DispatchJob, UnreadableAttempt } from './attempt.ts';
import { createBurial } from './burial.ts';
import type { DispatcherMetrics } from './metrics.ts';
import type { RateLimitPause } from './pause.ts';
import { createReport } from './report.ts';
import { untilTaken } from './until-taken.ts';
import { wellFormed } from './well-formed.ts';

export interface ProcessorDependencies {
  /** undefined in a dry run. */
  readonly github: { attempt(dispatch: Dispatch): Promise<Verdict> } | undefined;
  readonly claims: Pick<
    Claims,
    'isDelivered' | 'isSuperseded' | 'settleDelivered' | 'settleDead' | 'release'
  >;
  readonly deadLetters: Pick<DeadLetters, 'bury' | 'isBuried' | 'removeOwn' | 'removeOwnAndOlder'>;
  readonly pause: RateLimitPause;
  readonly metrics: DispatcherMetrics;
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly now: () => number;
  readonly config: {
    readonly ALLOWED_OWNERS: readonly string[];
    /** Milliseconds. */
    readonly DISPATCH_RETRY_WINDOW: number;
    /** Milliseconds. */
    readonly DEAD_LETTER_COOLDOWN: number;
  };
}

// How often a job's worker may die before the job itself is suspected.
const MAX_STALLED = 5;

/**
 * One attempt at a dispatch: `attempt → act`. This is the one place where a verdict becomes BullMQ's terms: returning
 * completes the job, an error retries it after the backoff, RateLimitError puts it back as it was, and UnrecoverableError
 * fails it for good.
 */
export function createProcessor(dependencies: ProcessorDependencies): (job: DispatchJob) => Promise<void> {
  const { github, claims, deadLetters, pause, metrics, log, now, config } = dependencies;
  const report = createReport({ metrics, log, now });
  const burial = createBurial({ claims, deadLetters, report, now, config });

  async function giveUp(attempt: Attempt | UnreadableAttempt, cause: Cause): Promise<never> {
    throw new UnrecoverableError(await burial.bury(attempt, cause));
  }

  /** Acts on what an attempt came to. */
  async function act(attempt: Attempt, verdict: Verdict): Promise<void> {
    const { job, id, dispatch } = attempt;
    // Before the job ends: BullMQ then leaves a claim alone that has been given a time to live. And before anything else,
    // so that a crash from here on does not send the dispatch again.
    if (verdict.kind === 'delivered') await untilTaken(() => claims.settleDelivered(id, dispatch));
    if (verdict.limit) await pause(verdict.limit);

    switch (verdict.kind) {
      case 'delivered':
        await deadLetters.removeOwnAndOlder(dispatch);
        return report(attempt, { outcome: 'delivered', status: Number(verdict.code) });

      case 'pause':
        report(attempt, { outcome: 'rate_limited', message: verdict.message });
        throw new RateLimitError();

      case 'retry': {
        const { code, message, stack } = verdict;
        // Since it was queued, which a redrive does again.
        if (now() - job.timestamp > config.DISPATCH_RETRY_WINDOW) {
          return giveUp(attempt, { code, message, hint: code === 'internal' ? BUG_HINT : EXPIRED_HINT });
        }
        report(attempt, { outcome: 'retry', code, message, stack });
        throw new Error(message);
      }

      case 'dead': {
        const { code, message, hint } = verdict;
        return giveUp(attempt, { code, message, hint });
      }

      default:
        return verdict satisfies never;
    }
  }

  return async taken => {
    const job = { ...taken, data: wellFormed(taken.data) };
    const { id } = job;
    if (id === undefined) throw new Error('BullMQ handed over a job without an id');
    const parsed = parseDispatch(job.data);
    if (!parsed.ok) return giveUp({ job, id, dispatch: undefined }, unreadable(parsed.fault));
    const { dispatch } = parsed;
    const attempt: Attempt = { job, id, dispatch };

    // An earlier attempt may have got an end that BullMQ has not heard of: its worker died before, or Redis refused a
    // later step. GitHub is not asked again then.
    if (job.stalledCounter > 0 || job.attemptsMade > 0) {
      if (await claims.isDelivered(id, dispatch.dedup_id)) {
        await deadLetters.removeOwnAndOlder(dispatch);
        return report(attempt, { outcome: 'delivered_before' });
      }
      if (await burial.isBuried(attempt)) {
        await burial.finish(attempt);
        throw new UnrecoverableError('It was buried before');
      }
    }
    if (job.stalledCounter > MAX_STALLED) return giveUp(attempt, STALLED);

    if (await claims.isSuperseded(dispatch)) {
      await claims.release(id, dispatch.dedup_id, job.timestamp);
      await deadLetters.removeOwn(dispatch);
      return report(attempt, { outcome: 'superseded' });
    }
    // The queue is not trusted more than a request.
    if (!isRepository(dispatch.repo) || !isAllowedOwner(dispatch.repo, config.ALLOWED_OWNERS)) {
      return giveUp(attempt, notAllowed(dispatch));
    }
    if (!github) {
      await claims.settleDelivered(id, dispatch);
      return report(attempt, { outcome: 'dry_run' });
    }

    const startedAt = now();
    const verdict = await github.attempt(dispatch);
    metrics.duration.observe({ code: verdict.code }, (now() - startedAt) / 1000);
    if (verdict.kind === 'delivered') metrics.admit(dispatch);
    return act(attempt, verdict);
  };
}

const EXPIRED_HINT =
  'It was tried until DISPATCH_RETRY_WINDOW was over. Check GitHub and the network, then retry.';

const BUG_HINT =
  'This is a bug of flux-dispatch, and lasted until DISPATCH_RETRY_WINDOW was over. Report it with the log lines of this dispatch_id, and retry with a version that mends it.';

const STALLED: Cause = {
  code: 'internal',
  message: `Its worker died on it more than ${MAX_STALLED} times`,
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
    message: `The job is no dispatch that this version can read: ${fault}`,
    hint: 'Upgrade the dispatcher to the version of ingest, then retry. If ingest did not queue it, discard it.',
  };
}
