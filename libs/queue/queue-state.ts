import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { isHeld } from './limiter.ts';
import { redisTime } from './redis.ts';

/** Depth and age of a queue. */
export interface QueueState {
  readonly queue: string;
  readonly jobs: Readonly<Record<'waiting' | 'active' | 'delayed' | 'failed', number>>;
  /** How long ago the job that has waited longest was queued, in seconds. 0 where none waits. */
  readonly oldestWaitingSeconds: number;
}

/** Reads a queue's state in two round trips whose cost does not grow with the queue. @throws while Redis is away */
export async function queueState(queue: Queue, redis: Redis): Promise<QueueState> {
  const [counts, next, now] = await Promise.all([
    queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed'),
    oldestWaiting(queue, redis),
    // Jobs are queued by this clock.
    redisTime(redis),
  ]);
  const queuedAt = next === undefined ? null : await redis.hget(queue.toKey(next), 'timestamp');
  const { wait = 0, prioritized = 0, active = 0, delayed = 0, failed = 0 } = counts;
  return {
    queue: queue.name,
    jobs: { waiting: wait + prioritized, active, delayed, failed },
    oldestWaitingSeconds: queuedAt === null ? 0 : Math.max(0, (now - Number(queuedAt)) / 1000),
  };
}

// Repositories take turns, so the next job of each is among the first. So many are looked at.
const LOOKED_AT = 100;
// BullMQ's scores of prioritized jobs are the priority with 32 bits behind it that count the jobs.
const PRIORITY_SCORE = 2 ** 32;

/** The id of the job that has waited longest: of the first ones by priority, the one that was added first. */
async function oldestWaiting(queue: Queue, redis: Redis): Promise<string | undefined> {
  const [plain, first] = await Promise.all([
    redis.lindex(queue.toKey('wait'), -1),
    redis.zrange(queue.toKey('prioritized'), '0', `${LOOKED_AT - 1}`, 'WITHSCORES'),
  ]);
  if (plain !== null) return plain;
  let oldest: { id: string; order: number } | undefined;
  for (let i = 0; i + 1 < first.length; i += 2) {
    const [id = '', score] = [first[i], Number(first[i + 1])];
    const order = score % PRIORITY_SCORE;
    if (!oldest || order < oldest.order) oldest = { id, order };
  }
  return oldest?.id;
}

// BullMQ's scores of delayed jobs are their time in ms with 12 bits behind it that keep their order.
const DELAYED_SCORE = 0x1000;

/**
 * Whether a job of the queue could be taken at once, and whether its limiter holds it back.
 * @throws while Redis is away
 */
export async function queueLook(queue: Queue, redis: Redis): Promise<{ due: boolean; held: boolean }> {
  const [plain, prioritized, overdue, held] = await Promise.all([
    redis.llen(queue.toKey('wait')),
    redis.zcard(queue.toKey('prioritized')),
    redis.zcount(queue.toKey('delayed'), '-inf', Date.now() * DELAYED_SCORE),
    isHeld(queue, redis),
  ]);
  return { due: plain + prioritized + overdue > 0, held };
}
