/** The queue that ingest fills and dispatcher empties. */
export const DISPATCH_QUEUE = 'dispatch';

/** The queue of what could not be dispatched, whose failed jobs are the entries that wait for an operator. */
export const DEAD_LETTER_QUEUE = 'dispatch-dead-letter';
/** The queue of receipts, each of which waits for the workflow runs of a delivered dispatch. */
export const RECEIPT_QUEUE = 'dispatch-receipt';

/** The Redis keys of claims, streams and jobs, under the prefix that BullMQ gives the dispatch queue's own keys. */
export function claimKeys(prefix: string) {
  const claim = `${prefix}:${DISPATCH_QUEUE}:de:`;
  const outages = `${prefix}:${DISPATCH_QUEUE}:outages:`;
  const memory = `${prefix}:${DISPATCH_QUEUE}:memory:`;
  return {
    /** What BullMQ's deduplication sets for an id: a string with the job's id. */
    claim: (dedupId: string) => claim + dedupId,
    /** What repeats of an event are answered, where there is something to say about its dispatch: see feedback.ts. */
    feedback: (dedupId: string) => `${prefix}:${DISPATCH_QUEUE}:feedback:${dedupId}`,
    /** A dispatch's job, which is BullMQ's: a hash. */
    job: (jobId: string) => `${prefix}:${DISPATCH_QUEUE}:${jobId}`,
    /** The dedup ids of delivered dispatches that still hold a claim, scored by when it expires (ms since the epoch). */
    delivered: `${prefix}:${DISPATCH_QUEUE}:delivered`,
    /** What was enqueued for one object, class, repository and event type: a hash, see admit.lua. */
    stream: (streamId: string) => memory + streamId,
    streamPrefix: memory,
    /** The ids of all streams, scored by when they were last seen (ms since the epoch). */
    streams: `${prefix}:${DISPATCH_QUEUE}:streams`,
    /** A hash: the time of the newest success of each object, in seconds since the epoch. */
    healthy: `${prefix}:${DISPATCH_QUEUE}:healthy`,
    /** A hash: the outages of an object towards a repository, see outages.lua. */
    outages: (objectId: string) => outages + objectId,
    outagesPrefix: outages,
    /** The ids of all objects that had a success, or a failure that was tried, scored by when (ms since the epoch). */
    objects: `${prefix}:${DISPATCH_QUEUE}:objects`,
    /**
     * A hash: the priority of each repository's newest dispatch since the last time that none waited, `current`, and of
     * the newest turn `given_at` (ms since the epoch) and `given` (the dedup id). See admit.lua.
     */
    turns: `${prefix}:${DISPATCH_QUEUE}:turns`,
    /** A hash: the delivered dispatches whose receipts are to be opened, by dispatch id. See settle.lua. */
    unopened: `${prefix}:${DISPATCH_QUEUE}:unopened`,
    /** The jobs that wait, by priority. BullMQ's. */
    waiting: `${prefix}:${DISPATCH_QUEUE}:prioritized`,
  };
}
