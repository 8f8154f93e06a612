import type { ErrorCode } from '@flux-dispatch/github/verdict';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Job } from 'bullmq';

export type DispatchJob = Pick<
  Job<unknown>,
  'id' | 'name' | 'data' | 'timestamp' | 'attemptsMade' | 'stalledCounter' | 'deduplicationId'
> & {
  readonly opts: { readonly delay?: number };
  /** Of this run of the job, unlike that of any other. */
  readonly token?: string;
};

/** A job as BullMQ hands it to the processor. */
export type TakenJob = DispatchJob & Pick<Job<unknown>, 'moveToDelayed'>;

/** One run of a job, to send the dispatch that it holds. */
export interface Attempt {
  readonly job: DispatchJob;
  /** The id of the job and of its dispatch. */
  readonly id: string;
  readonly dispatch: Dispatch;
}

/** One run of a job whose data this version cannot read as a dispatch. */
export type UnreadableAttempt = Omit<Attempt, 'dispatch'> & { readonly dispatch: undefined };

/** Why a dispatch is given up, and what to do about it. */
export interface Cause {
  /** `internal` where it was not GitHub's answer. */
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}
