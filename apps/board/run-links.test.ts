import { describe, expect, test } from 'vitest';
import { testRun } from '../../test/support/board-data.ts';
import { receiptLink, runLinks } from './run-links.ts';

const PAGE = 'https://github.com/Altinn/dialogporten/actions/runs/1';

test.each([
  [{}, 'Deploy: success'],
  [{ match: 'probable' as const }, 'Deploy: success, probable'],
  [{ status: 'in_progress', conclusion: null }, 'Deploy: in_progress'],
  [{ workflow: '', conclusion: 'failure' }, 'failure'],
  [{ workflow: '<b>' }, '<b>: success'],
])('what the link to a run says: %o', (values, text) => {
  expect(runLinks({ runs: [testRun(values)] })).toEqual([{ href: PAGE, text }]);
});

describe('what is linked', () => {
  test.each([
    [PAGE, true],
    ['https://ghe.example/o/r/actions/runs/1', true],
    ['http://127.0.0.1:4000/o/r/actions/runs/1', true],
    ['http://[::1]:4000/o/r', true],
    ['http://github.com/o/r', false],
    ['javascript:alert(1)', false],
    [' javascript:alert(1)', false],
    ['data:text/html,x', false],
    ['//github.com/o/r', false],
    ['', false],
  ])('%j: %s', (url, linked) => {
    expect(runLinks({ runs: [testRun({ url })] })).toHaveLength(linked ? 1 : 0);
  });
});

test('one run is linked at once, several on a page of their own, and none not at all', () => {
  const receipt = (count: number) => ({
    ...{
      dispatch_id: 'a/b',
      repo: 'o/r',
      event_type: 't',
      product: '',
      environment: '',
      reason: '',
      object: '',
    },
    delivered_at: '2026-03-05T12:00:00Z',
    github_time: '2026-03-05T12:00:00Z',
    runs: Array.from({ length: count }, () => testRun()),
  });
  expect(receiptLink(receipt(0))).toBeUndefined();
  expect(receiptLink(receipt(1))).toEqual({ href: PAGE, text: 'Deploy: success' });
  expect(receiptLink(receipt(2))).toEqual({ href: '/runs/a%2Fb', text: '2 runs' });
});
