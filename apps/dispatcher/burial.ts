import { type Claims, failedObject } from '@flux-dispatch/queue/claims';
import { type DeadLetters, deathReason } from '@flux-dispatch/queue/dead-letter';
import { refusalOf } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Attempt, Cause, UnreadableAttempt } from './attempt.ts';
import type { Report } from './report.ts';

export interface BurialDependencies {
  readonly claims: Pick<Claims, 'settleDead'>;
  readonly deadLetters: Pick<DeadLetters, 'bury' | 'reasonOf'>;
  readonly report: Report;
  readonly log: Pick<Logger, 'warn'>;
  readonly now: () => number;
  readonly config: {
    /** Milliseconds. */
    readonly DEAD_LETTER_COOLDOWN: number;
  };
}

/**
 * How a dispatch that is given up ends: its dead letter is written, then its claim begins its cooldown. After a crash in
 * between, the next worker goes on from there.
 */
export interface Burial {
  /** Returns the reason in one line, which the job fails with. */
  bury(attempt: Attempt | UnreadableAttempt, cause: Cause): Promise<string>;
  /**
   * Does what is left to do where an earlier attempt of this run has written the dead letter, and then could not end the job.
   * Returns whether that was so.
   */
  finish(attempt: Attempt): Promise<boolean>;
}

export function createBurial(dependencies: BurialDependencies): Burial {
  const { claims, deadLetters, report, log, now, config } = dependencies;

  async function startCooldown(attempt: Attempt | UnreadableAttempt, reason: string): Promise<void> {
    const dedupId = dedupIdOf(attempt);
    if (dedupId === undefined) return;
    const { id, job, dispatch } = attempt;
    try {
      const cooldownMs = config.DEAD_LETTER_COOLDOWN;
      const failureOf = dispatch && failedObject(dispatch);
      await claims.settleDead(id, dedupId, { cooldownMs, run: job.timestamp, reason, failureOf });
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal || refusal.passes) throw error;
      // As where the claim's key holds something else: Redis would refuse for ever, and the job would never end.
      log.warn(
        { dispatch_id: id, dedup_id: dedupId, reason: refusal.reason },
        `The claim of this dead letter got no cooldown, so it does not expire. ${refusal.remedy}`,
      );
    }
  }

  return {
    async bury(attempt, cause) {
      const { job, id, dispatch } = attempt;
      const { code, message, hint } = cause;
      const death = {
        ...{ hint, error: { code, message }, attempts: job.attemptsMade + 1 },
        ...{ dispatch_id: id, dedup_id: dedupIdOf(attempt), run: job.timestamp },
        ...{ dispatch: job.data, before: dispatch?.died },
      };
      const { written } = await deadLetters.bury(job.name, death, now());
      const reason = deathReason(death);
      await startCooldown(attempt, reason);
      report(attempt, { outcome: 'dead', written, ...cause });
      return reason;
    },
    async finish(attempt) {
      const { id, job, dispatch } = attempt;
      const death = { dispatch_id: id, dedup_id: dispatch.dedup_id, run: job.timestamp };
      const reason = await deadLetters.reasonOf(death);
      if (reason === undefined) return false;
      await startCooldown(attempt, reason);
      return true;
    },
  };
}

/** The id of the claim. BullMQ may know it also for a job that cannot be read. */
function dedupIdOf({ job, dispatch }: Attempt | UnreadableAttempt): string | undefined {
  return dispatch ? dispatch.dedup_id : job.deduplicationId;
}
