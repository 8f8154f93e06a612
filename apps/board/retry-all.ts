import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/**
 * Retries the entries that are there now, in a few calls however many they are. One that dies again meanwhile is not
 * retried a second time, and one that somebody else has just retried or removed is no error, as it is where they are
 * retried one by one.
 * @returns how many there were, in the form that Bull Board's page expects
 */
export async function retryAll(
  deadLetters: Queue,
  redis: Redis,
): Promise<{ retried: number; skipped: number }> {
  const failed = deadLetters.toKey('failed');
  // By the clock of those who parked them, which may be ahead of this one.
  const [, newest] = await redis.zrange(failed, '-1', '-1', 'WITHSCORES');
  if (newest === undefined) return { retried: 0, skipped: 0 };
  const retried = await redis.zcount(failed, '-inf', newest);
  await deadLetters.retryJobs({ state: 'failed', timestamp: Number(newest) });
  return { retried, skipped: 0 };
}
