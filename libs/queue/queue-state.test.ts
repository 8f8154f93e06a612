import { randomUUID } from 'node:crypto';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { afterAll, expect, inject, test } from 'vitest';
import { queueLook, queueState } from './queue-state.ts';

const redis = new Redis(inject('redisUrl'));
afterAll(() => redis.disconnect());

const HOUR_MS = 3_600_000;

test.each([
  ['is empty', [], { waiting: 0, delayed: 0 }, 0, false],
  ['has a job that waits', [{}], { waiting: 1, delayed: 0 }, 3600, true],
  [
    'has jobs that wait by priority',
    [{ priority: 2 }, { priority: 1 }],
    { waiting: 2, delayed: 0 },
    3600,
    true,
  ],
  ['has one of either kind', [{}, { priority: 1 }], { waiting: 2, delayed: 0 }, 3600, true],
  ['has a job for later', [{ delay: 2 * HOUR_MS }], { waiting: 0, delayed: 1 }, 0, false],
])('a queue that %s', async (_, jobs, counts, age, due) => {
  const queue = new Queue('dispatch', { connection: redis, prefix: `{state-${randomUUID()}}` });
  for (const options of jobs) await queue.add('a job', {}, { ...options, timestamp: Date.now() - HOUR_MS });
  const state = await queueState(queue, redis);
  expect(state.jobs).toEqual({ active: 0, failed: 0, ...counts });
  expect(Math.floor(state.oldestWaitingSeconds / 60)).toBe(age / 60);
  expect(await queueLook(queue, redis)).toEqual({ due, held: false });
});
