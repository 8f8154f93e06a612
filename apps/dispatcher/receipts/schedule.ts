const FIRST_LOOKS_MS = [5000, 15_000, 30_000, 60_000, 120_000];
const THEN_EVERY_MS = 120_000;

// Workflows of one event may start apart from each other, so a receipt is not complete before this age.
const LAST_START_MS = 120_000;

export interface ReceiptTimes {
  /** How long a workflow run may take to start, in milliseconds. */
  readonly RUN_START_TIMEOUT: number;
  /** How long runs are followed, in milliseconds. */
  readonly RUN_FOLLOW_TIMEOUT: number;
}

/**
 * The age at which a receipt is looked at next: after 5, 15, 30, 60 and 120 s, then every 2 minutes, and at RUN_START_TIMEOUT. In
 * milliseconds since the delivery.
 */
export function nextLook(age: number, { RUN_START_TIMEOUT }: ReceiptTimes): number {
  const usual =
    FIRST_LOOKS_MS.find(look => look > age) ?? (Math.floor(age / THEN_EVERY_MS) + 1) * THEN_EVERY_MS;
  return age < RUN_START_TIMEOUT ? Math.min(usual, RUN_START_TIMEOUT) : usual;
}

/** The age at which the last look was due, or 0. In milliseconds since the delivery. */
export function lastDue(age: number, times: ReceiptTimes): number {
  let due = 0;
  for (let next = nextLook(0, times); next <= age; next = nextLook(next, times)) due = next;
  return due;
}

/** The age from which on no further run is waited for, in milliseconds since the delivery. */
export function settledAge({ RUN_START_TIMEOUT }: ReceiptTimes): number {
  return Math.min(LAST_START_MS, RUN_START_TIMEOUT);
}

// However many receipts a repository has, it is not asked more often than this while they wait for their runs to start.
const TOGETHER_MS = 10_000;

/**
 * How long a look may wait so that it shares a listing with other receipts of its repository, in milliseconds. Where it no longer
 * waits for a run to start, half as long as until the next look.
 */
export function patience(age: number, times: ReceiptTimes): number {
  const { RUN_START_TIMEOUT } = times;
  const early = Math.min(TOGETHER_MS, RUN_START_TIMEOUT / 10);
  return age <= RUN_START_TIMEOUT ? early : Math.max(early, (nextLook(age, times) - age) / 2);
}
