import { parseEvent } from '@flux-dispatch/event/event';
import { readAlert } from '@flux-dispatch/routing/alert';
import { DEFAULT_ROUTING } from '@flux-dispatch/routing/config';
import { statusOf } from '@flux-dispatch/routing/outcome';
import { createLogger } from '@flux-dispatch/runtime/log';
import { fluxEvent } from '@flux-dispatch/testbed/flux';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { type Answer, answerEnqueue } from './answer.ts';
import type { CandidateResult } from './enqueue.ts';
import { createIngestMetrics } from './metrics.ts';
import { countAnswer, logAnswer } from './report.ts';

function about(metadata: Record<string, string>, reason = 'ReconciliationSucceeded') {
  const parsed = parseEvent(fluxEvent({ namespace: 'product-x', reason, metadata }));
  if (!parsed.ok) throw new Error(parsed.fault);
  return { event: parsed.event, alert: readAlert(parsed.event, DEFAULT_ROUTING) };
}

const [NEW, REPEAT, LIMITED, STALE, DEAD, SILENT]: CandidateResult[] = [
  { repo: 'Altinn/new', outcome: 'enqueued', dispatch_id: 'id-1' },
  { repo: 'Altinn/repeat', outcome: 'duplicate', dispatch_id: 'id-2' },
  { repo: 'Altinn/limited', outcome: 'rate_limited', dispatch_id: 'id-3' },
  { repo: 'Altinn/stale', outcome: 'stale' },
  { repo: 'Altinn/dead', outcome: 'undeliverable', dispatch_id: 'id-5', message: 'Install the App.' },
  { repo: 'Altinn/silent', outcome: 'no_run', dispatch_id: 'id-6', message: 'No workflow listens.' },
] as const;
const done = (...results: (CandidateResult | undefined)[]): Answer => ({
  ...answerEnqueue({ kind: 'done', results: results.filter(result => result !== undefined) }),
  about: about({ env: 'at23' }),
});

describe('logAnswer', () => {
  function linesOf(answer: Answer) {
    const lines: Record<string, unknown>[] = [];
    const log = createLogger('ingest', 'info', { write: line => lines.push(JSON.parse(line)) });
    logAnswer(log, answer, statusOf(answer.outcome, DEFAULT_ROUTING), '10.0.0.1');
    return lines.map(({ time, process, ...line }) => line);
  }
  const event = {
    ...{ product: 'product-x', env: 'at23', event_type: 'flux-deploy', reason: 'ReconciliationSucceeded' },
    msg: 'Event',
  };

  test('one line for each repository', () => {
    expect(linesOf(done(NEW, STALE))).toEqual([
      { ...event, level: 'info', ...NEW, status: 202 },
      { ...event, level: 'info', ...STALE, status: 202 },
    ]);
  });

  test('what the team has to change is a warning, with the message', () => {
    const { message: detail, ...dead } = DEAD ?? {};
    expect(linesOf(done(DEAD, REPEAT))).toEqual([
      { ...event, level: 'warn', ...dead, status: 422, detail },
      { ...event, level: 'warn', ...REPEAT, status: 422 },
    ]);
  });

  test('one line for an event that is rejected, with what it asks for', () => {
    const rejected = about({ env: 'at23', dispatch_repo: 'x'.repeat(300) });
    expect(linesOf({ outcome: 'invalid_dispatch_repo', message: 'why', about: rejected })).toEqual([
      {
        ...{ ...event, level: 'warn', outcome: 'invalid_dispatch_repo', repo: 'x'.repeat(200) },
        ...{ status: 422, detail: 'why', remote: '10.0.0.1' },
      },
    ]);
  });

  test('one line for what is no event', () => {
    expect(linesOf({ outcome: 'invalid_signature', message: 'why' })).toEqual([
      {
        ...{ level: 'warn', outcome: 'invalid_signature', status: 401, detail: 'why', remote: '10.0.0.1' },
        msg: 'Event',
      },
    ]);
  });

  test('a queue that is unavailable is an error, with the reason for the operator', () => {
    const answer = answerEnqueue({ kind: 'unavailable', reason: 'Redis is away' });
    expect(linesOf({ ...answer, about: about({ env: 'at23' }) })).toMatchObject([
      {
        ...event,
        level: 'error',
        outcome: 'queue_unavailable',
        repo: '',
        status: 503,
        detail: 'Redis is away',
      },
    ]);
  });
});

describe('countAnswer', () => {
  test.each<[string, Answer, hits: number | undefined, signatureFailures: number]>([
    ['enqueued', done(NEW, REPEAT, LIMITED, STALE), 2, 0],
    ['enqueued', done(NEW), 0, 0],
    ['undeliverable', done(DEAD, SILENT), 2, 0],
    ['stale', done(STALE), 0, 0],
    ['not_routed', { outcome: 'not_routed', about: about({}) }, undefined, 0],
    ['invalid_signature', { outcome: 'invalid_signature' }, undefined, 1],
  ])('%s: %#', async (outcome, answer, hits, signatureFailures) => {
    const registry = new Registry();
    const metrics = createIngestMetrics(registry, ['ReconciliationSucceeded'], async () => 0);
    countAnswer(metrics, answer);
    const counted = (await metrics.events.get()).values.filter(({ value }) => value > 0);
    expect(counted).toEqual([{ labels: { outcome }, value: 1 }]);
    expect((await metrics.dedupHits.get()).values).toEqual(
      hits === undefined ? [] : [{ labels: { reason: 'ReconciliationSucceeded' }, value: hits }],
    );
    expect((await metrics.signatureFailures.get()).values[0]?.value).toBe(signatureFailures);
  });
});
