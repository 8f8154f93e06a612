import type { FindingCode } from '@flux-dispatch/github/finding';
import { reachesBackTo } from '@flux-dispatch/github/runs';
import type { RateLimit } from '@flux-dispatch/github/verdict';
import { isConnectionError } from '@flux-dispatch/queue/connection-error';
import { GaveUpWaiting } from '@flux-dispatch/queue/patience';
import { type Receipt, type ReceiptRun, readReceipt } from '@flux-dispatch/queue/receipt';
import type {
  Listed,
  ReceiptSearch,
  SearchedReceipt,
  SearchState,
} from '@flux-dispatch/queue/receipt-search';
import { refusalOf } from '@flux-dispatch/queue/refusals';
import type { Logger } from '@flux-dispatch/runtime/log';
import { DelayedError, type Job, RateLimitError, UnrecoverableError } from 'bullmq';
import type { DispatcherMetrics } from '../metrics.ts';
import type { RateLimitPause } from '../pause.ts';
import type { Diagnose } from './diagnosis.ts';
import type { Feedback } from './feedback.ts';
import { findRuns } from './found-runs.ts';
import type { createListings, SharedAnswer } from './listings.ts';
import type { Readers } from './readers.ts';
import type { Redispatch } from './redispatch.ts';
import { type createReceiptReport, type ReceiptOutcome, resultsOf } from './report.ts';
import { lastDue, nextLook, patience, type ReceiptTimes, settledAge } from './schedule.ts';

export type ReceiptJob = Pick<
  Job<Receipt>,
  'id' | 'data' | 'attemptsMade' | 'updateData' | 'moveToDelayed' | 'opts'
> & { readonly token?: string };

export interface ReceiptProcessorDependencies {
  readonly search: ReceiptSearch<SharedAnswer>;
  readonly listing: ReturnType<typeof createListings>;
  readonly diagnose: Diagnose;
  readonly feedback: Feedback;
  readonly redispatch: Redispatch;
  readonly readers: Readers;
  /** Pauses dispatches, and with them receipts. */
  readonly pause: RateLimitPause;
  /** Pauses receipts alone. */
  readonly hold: (limit: RateLimit) => Promise<unknown>;
  readonly metrics: Pick<DispatcherMetrics, 'runStart'>;
  readonly report: ReturnType<typeof createReceiptReport>;
  /** The clock that all processes share. */
  readonly redisTime: () => Promise<number>;
  /** Milliseconds since the epoch, by this process. */
  readonly now: () => number;
  readonly log: Pick<Logger, 'debug' | 'error'>;
  readonly config: ReceiptTimes;
}

/** What a receipt's job returns. */
export interface ReceiptEnd {
  readonly results: readonly string[];
}

// How long to wait for a dispatch that was put back on its queue, before looking again.
const PENDING_MS = 5000;
// After an error that our own code did not expect, or a step that Redis refused.
const AFTER_ERROR_MS = 30_000;

/**
 * One look at a receipt: `list → match → end or look again`. It never counts as an attempt of BullMQ's, so that one means that an
 * operator pressed Retry.
 */
export function createReceiptProcessor(dependencies: ReceiptProcessorDependencies) {
  const { search, listing, diagnose, feedback, redispatch, readers, pause, hold, metrics, report } =
    dependencies;
  const { redisTime, now, config, log } = dependencies;

  async function postpone(job: ReceiptJob, ms: number): Promise<never> {
    await job.moveToDelayed(now() + Math.max(1, Math.ceil(ms)), job.token);
    throw new DelayedError();
  }

  /**
   * GitHub asks for fewer calls. When the hourly limit is used up, that is about dispatches as well. A secondary limit may be
   * about these calls alone, and dispatches find out for themselves.
   */
  async function standBack(limit?: RateLimit): Promise<never> {
    if (limit) await (limit.kind === 'primary' ? pause(limit) : hold(limit));
    throw new RateLimitError();
  }

  async function resend(job: ReceiptJob, receipt: Receipt): Promise<undefined> {
    const outcome = await redispatch.resend(receipt);
    if (outcome === 'unreadable') throw new UnrecoverableError(UNREADABLE);
    report(receipt, { outcome: outcome === 'redriven' ? 'resent' : outcome });
    if (outcome === 'replaced_by_newer') {
      // The newer one has a receipt of its own.
      job.opts.removeOnComplete = true;
      return;
    }
    const { finding: _, ...rest } = sentAt(receipt, await redisTime());
    await job.updateData({ ...rest, runs: [], resent: job.attemptsMade });
    return postpone(job, nextLook(0, config));
  }

  /** Saves what was found, and looks again when it is time. */
  async function goOn(job: ReceiptJob, receipt: Receipt, runs: readonly ReceiptRun[], age: number) {
    if (JSON.stringify(runs) !== JSON.stringify(receipt.runs)) {
      await job.updateData({ ...receipt, runs: [...runs] });
    }
    return postpone(job, nextLook(age, config) - age);
  }

  async function complete(
    job: ReceiptJob,
    receipt: Receipt,
    ended: Extract<ReceiptOutcome, { outcome: 'completed' | 'unknown' | 'not_sent' }>,
  ): Promise<ReceiptEnd> {
    // It cannot be sent again from here, and thousands of payloads would take up a lot of Redis.
    const { dispatch: _, ...rest } = receipt;
    await job.updateData(
      ended.outcome === 'completed'
        ? { ...rest, runs: [...ended.runs] }
        : { ...rest, ...(receipt.runs.length === 0 && { finding: ended.reason }) },
    );
    await search.leave(searched(receipt));
    report(receipt, ended);
    return { results: resultsOf(ended) };
  }

  /** @param unlisted why the runs of the repository could not be listed */
  async function endWithoutRun(
    job: ReceiptJob,
    receipt: Receipt,
    unlisted: string | undefined,
  ): Promise<ReceiptEnd> {
    const diagnosis = await diagnose(receipt);
    if (diagnosis.kind === 'held') return standBack();
    if (diagnosis.kind === 'limited') return standBack(diagnosis.limit);
    if (diagnosis.kind === 'later') return postpone(job, diagnosis.ms);
    const { code, message: finding } = diagnosis.finding;
    if (code === 'run_not_recognized') {
      // One may have run.
      await feedback.noteRun(receipt);
      return complete(job, receipt, { outcome: 'unknown', reason: finding });
    }
    if (unlisted !== undefined && EXPLAINS_NOTHING.includes(code)) {
      return complete(job, receipt, { outcome: 'unknown', reason: unlisted });
    }
    await job.updateData({ ...receipt, finding });
    await feedback.noteNoRun(receipt, finding);
    await search.noteMissing(receipt.repo, receipt.dispatch_id);
    await search.leave(searched(receipt));
    report(receipt, { outcome: 'no_run', finding });
    throw new UnrecoverableError(finding);
  }

  async function judge(
    job: ReceiptJob,
    receipt: Receipt,
    state: SearchState<SharedAnswer>,
    { startedAt, answer }: Listed<SharedAnswer>,
  ): Promise<ReceiptEnd | undefined> {
    const deliveredAt = Date.parse(receipt.delivered_at);
    const [age, seenAge] = [state.now - deliveredAt, startedAt - deliveredAt];
    const isOver = age >= config.RUN_FOLLOW_TIMEOUT;
    if (answer.kind === 'forbidden') {
      readers.refused(receipt.repo, answer.message);
      await search.leave(searched(receipt));
      job.opts.removeOnComplete = true;
      return undefined;
    }
    if (answer.kind === 'failed') {
      if (!isOver) return goOn(job, receipt, receipt.runs, age);
      return complete(job, receipt, { outcome: 'unknown', reason: answer.message });
    }
    if (answer.kind === 'listed') readers.allowed(receipt.repo);
    const runs =
      answer.kind === 'listed'
        ? await findRuns(receipt, state.seekers, answer.listing, search)
        : receipt.runs;
    const news = runs.filter(run => !receipt.runs.some(({ id }) => id === run.id));
    for (const { created_at } of news) {
      metrics.runStart.observe(Math.max(0, Date.parse(created_at) - Date.parse(receipt.github_time)) / 1000);
    }
    if (news.length > 0 && receipt.runs.length === 0) await feedback.noteRun(receipt);

    if (runs.length === 0 && seenAge >= config.RUN_START_TIMEOUT) {
      const isWhole =
        answer.kind !== 'listed' || reachesBackTo(answer.listing, Date.parse(receipt.github_time));
      const unlisted = answer.kind === 'listed' ? undefined : answer.message;
      if (isWhole) return endWithoutRun(job, receipt, unlisted);
      return complete(job, receipt, { outcome: 'unknown', reason: TOO_MANY_RUNS });
    }
    const isComplete =
      seenAge >= settledAge(config) && runs.length > 0 && runs.every(({ conclusion }) => conclusion !== null);
    if (!isComplete && (!isOver || runs.length === 0)) return goOn(job, receipt, runs, age);
    return complete(job, receipt, { outcome: 'completed', runs });
  }

  /** Until when a receipt looks for runs that do not name their dispatch. */
  function seeksUntil({ runs }: Receipt, deliveredAt: number): number {
    if (runs.some(({ match }) => match === 'exact')) return 0;
    return runs.length === 0 ? Number.MAX_SAFE_INTEGER : deliveredAt + settledAge(config);
  }

  async function look(job: ReceiptJob, receipt: Receipt): Promise<ReceiptEnd | undefined> {
    const resent = receipt.resent === undefined ? 'sent' : await redispatch.stateOf(receipt);
    if (resent === 'pending') {
      await job.updateData(sentAt(receipt, await redisTime()));
      return postpone(job, PENDING_MS);
    }
    if (resent === 'not_sent') return complete(job, receipt, { outcome: 'not_sent', reason: NOT_SENT });
    const deliveredAt = Date.parse(receipt.delivered_at);
    const state = await search.enter(searched(receipt), seeksUntil(receipt, deliveredAt));
    const age = state.now - deliveredAt;
    const due = {
      repo: receipt.repo,
      dueAt: deliveredAt + lastDue(age, config),
      patienceMs: patience(age, config),
      since: Date.parse(receipt.github_time),
    };
    const answer = await listing(due, state);
    switch (answer.kind) {
      case 'later':
        return postpone(job, answer.ms);
      case 'held':
        return standBack();
      case 'limited':
        return standBack(answer.limit);
      case 'ready':
        return judge(job, receipt, state, answer.listed);
      default:
        return answer satisfies never;
    }
  }

  return async (job: ReceiptJob): Promise<ReceiptEnd | undefined> => {
    const receipt = readReceipt(job.data);
    if (!receipt)
      throw new UnrecoverableError(
        'This version cannot read the receipt. Nothing needs to be done: it is removed after RUN_RETENTION',
      );
    try {
      return await (job.attemptsMade > (receipt.resent ?? 0) ? resend(job, receipt) : look(job, receipt));
    } catch (error) {
      if (error instanceof DelayedError || error instanceof RateLimitError) throw error;
      if (error instanceof UnrecoverableError) throw error;
      // That one is in the log already.
      if (error instanceof GaveUpWaiting) return postpone(job, AFTER_ERROR_MS);
      const fields = { dispatch_id: receipt.dispatch_id, err: error };
      if (isConnectionError(error) || refusalOf(error)) log.debug(fields, 'Receipt');
      else log.error(fields, 'Unexpected error while looking for a workflow run: this is a bug');
      return postpone(job, AFTER_ERROR_MS);
    }
  };
}

// Where a workflow listens, a list that GitHub refuses says nothing about its runs.
const EXPLAINS_NOTHING: readonly FindingCode[] = ['not_started', 'unknown'];

const NOT_SENT =
  'The dispatch was not sent again: its object has recovered since, or GitHub refused it and it is among the dead letters';

const UNREADABLE = 'This version cannot read the dispatch in this receipt';

const TOO_MANY_RUNS =
  'flux-dispatch reads only the newest 300 runs of a repository, and those of this dispatch are older';

function searched({ repo, event_type, dispatch_id, github_time }: Receipt): SearchedReceipt {
  return { repo, event_type, dispatch_id, delivered_at: Date.parse(github_time) };
}

/** The receipt of a dispatch that was sent at another time. GitHub's clock differs from Redis' by as much as before. */
function sentAt(receipt: Receipt, time: number): Receipt {
  const aheadMs = Date.parse(receipt.github_time) - Date.parse(receipt.delivered_at);
  return {
    ...receipt,
    delivered_at: new Date(time).toISOString(),
    github_time: new Date(time + aheadMs).toISOString(),
  };
}
