import type { UnopenedReceipt } from '@flux-dispatch/queue/unopened-receipts';
import { until } from '@flux-dispatch/testbed/until';
import { expect, test } from 'vitest';
import { testDispatch } from '../../../test/support/a-dispatch.ts';
import { startOpening } from './opening.ts';

const NOW = Date.parse('2026-03-05T12:00:00Z');

function opening(share: { busy: number }) {
  const steps: string[] = [];
  const jobs: unknown[] = [];
  let left: UnopenedReceipt[] = [
    { dispatch: testDispatch(), deliveredAt: NOW - 2000, githubTime: NOW - 1500 },
  ];
  const started = startOpening({
    unopened: {
      some: async () => left,
      async forget() {
        steps.push('forget');
        left = [];
      },
    },
    queue: {
      async addBulk(added) {
        steps.push('add');
        jobs.push(...added);
        return [];
      },
    },
    worker: { pause: async () => void steps.push('pause'), resume: async () => void steps.push('resume') },
    redisTime: async () => NOW,
    utilization: () => share.busy,
    log: { debug: () => expect.fail('nothing goes wrong') },
    config: { RUN_START_TIMEOUT: 600_000, RUN_FOLLOW_TIMEOUT: 21_600_000, RUN_RETENTION: 604_800_000 },
  });
  return { started, steps, jobs };
}

test('a receipt comes up 5 s after the delivery, and is forgotten only once it is on its queue', async () => {
  const { started, steps, jobs } = opening({ busy: 0.1 });
  await until('it is opened', () => steps.includes('forget'));
  await started[Symbol.asyncDispose]();
  expect(steps.slice(0, 3)).toEqual(['resume', 'add', 'forget']);
  expect(jobs).toMatchObject([
    {
      data: { delivered_at: '2026-03-05T11:59:58.000Z', github_time: '2026-03-05T11:59:58.500Z', runs: [] },
      opts: { delay: 3000, removeOnComplete: { age: 604_800, count: 5000 } },
    },
  ]);
});

test('while the process has all hands full, receipts stand back', async () => {
  const share = { busy: 0.9 };
  const { started, steps } = opening(share);
  await until('it stands back', () => steps.length >= 2);
  expect(new Set(steps)).toEqual(new Set(['pause']));
  share.busy = 0.2;
  await until('it is opened', () => steps.includes('add'));
  await started[Symbol.asyncDispose]();
});
