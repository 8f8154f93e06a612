import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

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
