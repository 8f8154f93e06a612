/** The queue that ingest fills and dispatcher empties. */
export const DISPATCH_QUEUE = 'dispatch';

/** The Redis keys of claims, under the prefix that BullMQ gives the dispatch queue's own keys. */
export function claimKeys(prefix: string) {
  const claim = `${prefix}:${DISPATCH_QUEUE}:de:`;
  return {
    /** What BullMQ's deduplication sets for an id: a string with the job's id. */
    claim: (dedupId: string) => claim + dedupId,
    claimPrefix: claim,
    /** The dedup ids of delivered dispatches, scored by when their claim expires (ms since the epoch). */
    delivered: `${prefix}:${DISPATCH_QUEUE}:delivered`,
  };
}
