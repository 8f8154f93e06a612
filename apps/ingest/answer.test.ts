import { expect, test } from 'vitest';
import { answerBody, answerEnqueue } from './answer.ts';
import type { CandidateResult } from './enqueue.ts';

const RESULTS = {
  enqueued: { repo: 'Altinn/new', outcome: 'enqueued', dispatch_id: 'id-1' },
  duplicate: { repo: 'Altinn/repeat', outcome: 'duplicate', dispatch_id: 'id-2' },
  undeliverable: {
    repo: 'Altinn/dead',
    outcome: 'undeliverable',
    dispatch_id: 'id-3',
    message: 'Install it',
  },
  no_run: { repo: 'Altinn/silent', outcome: 'no_run', dispatch_id: 'id-4', message: 'Nobody listens' },
  stale: { repo: 'Altinn/stale', outcome: 'stale' },
} as const satisfies Partial<Record<CandidateResult['outcome'], CandidateResult>>;
type Name = keyof typeof RESULTS;

test.each<[outcome: Name, of: Name[]]>([
  ['enqueued', ['duplicate', 'no_run', 'undeliverable', 'enqueued']],
  ['undeliverable', ['duplicate', 'no_run', 'undeliverable', 'stale']],
  ['no_run', ['stale', 'no_run', 'duplicate']],
  ['duplicate', ['duplicate', 'stale']],
  ['stale', ['stale', 'duplicate']],
])('%s stands for an event that comes to %j', (outcome, of) => {
  const results = of.map((name): CandidateResult => RESULTS[name]);
  const { message, dispatch_id } = results.find(result => result.outcome === outcome) ?? {};
  expect(answerBody(answerEnqueue({ kind: 'done', results }))).toEqual({
    ...{ outcome, dispatch_id, dispatches: results },
    ...(message !== undefined && { message }),
  });
});

test('no repository is a bug', () => {
  expect(() => answerEnqueue({ kind: 'done', results: [] })).toThrow('routed to no repository');
});
