import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { isHeld } from './limiter.ts';

/** Depth and age of a queue. */
export interface QueueState {
  readonly queue: string;
  readonly jobs: Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;
  /** How long ago the job that is next was queued, in seconds. 0 where none waits. */
  readonly oldestWaitingSeconds: number;
}

/** Reads a queue's state in two round trips whose cost does not grow with the queue. @throws while Redis is away */
export async function queueState(queue: Queue, redis: Redis): Promise<QueueState> {
  const [counts, next] = await Promise.all([
    queue.getJobCounts('wait', 'active', 'delayed', 'failed'),
    redis.lindex(queue.toKey('wait'), -1),
  ]);
  const queuedAt = next === null ? null : await redis.hget(queue.toKey(next), 'timestamp');
  const { wait = 0, active = 0, delayed = 0, failed = 0 } = counts;
  return {
    queue: queue.name,
    jobs: { waiting: wait, active, delayed, failed },
    oldestWaitingSeconds: queuedAt === null ? 0 : Math.max(0, (Date.now() - Number(queuedAt)) / 1000),
  };
}

// BullMQ's scores of delayed jobs are their time in ms with 12 bits behind it that keep their order.
const DELAYED_SCORE = 0x1000;

/**
 * Whether a job of the queue could be taken at once, and whether its limiter holds it back.
 * @param max how many jobs the limiter of the queue's workers lets through in a window
 * @throws while Redis is away
 */
export async function queueLook(
  queue: Queue,
  redis: Redis,
  max: number,
): Promise<{ due: boolean; held: boolean }> {
  const [waiting, overdue, held] = await Promise.all([
    redis.llen(queue.toKey('wait')),
    redis.zcount(queue.toKey('delayed'), '-inf', Date.now() * DELAYED_SCORE),
    isHeld(queue, redis, max),
  ]);
  return { due: waiting + overdue > 0, held };
}
