import { newReceipt } from '@flux-dispatch/queue/receipt';
import { expect, test } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import { testRun } from '../../test/support/board-data.ts';
import { readableReceipt } from './readable.ts';

const DELIVERED = Date.parse('2026-03-05T12:00:00Z');

test('a receipt without a run: what to do comes first', () => {
  const { data } = newReceipt(testDispatch(), DELIVERED);
  const shown = readableReceipt({ ...data, finding: 'No workflow listens. Add the type.' });
  expect(Object.entries(shown as object)).toEqual([
    ['finding', 'No workflow listens. Add the type.'],
    ['runs', 'none has been seen'],
    [
      'dispatch',
      expect.objectContaining({
        ...{ repository: 'Altinn/dialogporten', event_type: 'flux-deploy' },
        ...{ dispatch_id: data.dispatch_id, delivered_at: '2026-03-05T12:00:00.000Z' },
      }),
    ],
  ]);
});

test('the runs of a receipt: each by its link first', () => {
  const { data } = newReceipt(testDispatch(), DELIVERED);
  const runs = [testRun(), testRun({ match: 'probable', status: 'queued', conclusion: null })];
  const shown = readableReceipt({ ...data, runs }) as Record<string, object>;
  expect(Object.keys(shown)).toEqual(['run_1', 'run_2', 'dispatch']);
  expect(Object.entries(shown['run_1'] ?? {})[0]).toEqual(['url', testRun().url]);
  expect(shown['run_2']).toMatchObject({ conclusion: 'queued', match: 'probable', workflow: 'Deploy' });
  expect(Object.keys(readableReceipt({ ...data, runs: [testRun()] }) as object)).toEqual(['run', 'dispatch']);
});

test.each([[undefined], ['text'], [{ repo: 'o/r' }]])('what is no receipt is shown as it is: %j', data => {
  expect(readableReceipt(data)).toBe(data);
});
