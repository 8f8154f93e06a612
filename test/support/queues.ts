import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import { openDeadLetters } from '@flux-dispatch/queue/dead-letter';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { openDispatchQueue } from '@flux-dispatch/queue/dispatch-queue';
import { openReceiptQueue, type Receipt } from '@flux-dispatch/queue/receipt';
import { connectPatient } from '@flux-dispatch/queue/redis';
import { parseRedisUrl } from '@flux-dispatch/queue/redis-url';
import { createLogger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';

/** The queues of a system as a test looks into them, and the connection that they share. */
export interface Queues extends Disposable {
  readonly redis: Redis;
  readonly dispatches: Queue<Dispatch>;
  readonly deadLetters: Queue<DeadLetter>;
  readonly receipts: Queue<Receipt>;
}

/** @throws if `redisUrl` is not a URL of a Redis */
export function openQueues(redisUrl: string, prefix: string): Queues {
  const location = parseRedisUrl(redisUrl);
  if (!location) throw new Error(`Not a Redis URL: ${redisUrl}`);
  const log = createLogger('test', 'fatal');
  const redis = connectPatient({ REDIS_URL: location }, log);
  return {
    redis,
    dispatches: openDispatchQueue(redis, prefix, log),
    deadLetters: openDeadLetters(redis, prefix, log).queue,
    receipts: openReceiptQueue(redis, prefix, log),
    [Symbol.dispose]: () => redis.disconnect(),
  };
}
