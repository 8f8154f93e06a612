/** The queue that ingest fills and dispatcher empties. */
export const DISPATCH_QUEUE = 'dispatch';

/** The queue of what could not be dispatched, whose failed jobs are the entries that wait for an operator. */
export const DEAD_LETTER_QUEUE = 'dispatch-dead-letter';

/** The Redis keys of claims, streams and jobs, under the prefix that BullMQ gives the dispatch queue's own keys. */
export function claimKeys(prefix: string) {
  const claim = `${prefix}:${DISPATCH_QUEUE}:de:`;
  return {
    /** What BullMQ's deduplication sets for an id: a string with the job's id. */
    claim: (dedupId: string) => claim + dedupId,
    claimPrefix: claim,
    /** A dispatch's job, which is BullMQ's: a hash. */
    job: (jobId: string) => `${prefix}:${DISPATCH_QUEUE}:${jobId}`,
    /** The dedup ids of delivered dispatches, scored by when their claim expires (ms since the epoch). */
    delivered: `${prefix}:${DISPATCH_QUEUE}:delivered`,
    /** What was enqueued for one object, class, repository and event type: a hash, see admit.lua. */
    stream: (streamId: string) => `${prefix}:${DISPATCH_QUEUE}:stream:${streamId}`,
    /** When an object was last well, as far as its repository has been told: seconds since the epoch. */
    success: (objectId: string) => `${prefix}:${DISPATCH_QUEUE}:success:${objectId}`,
  };
}
