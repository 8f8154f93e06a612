import { appRoutes } from '@bull-board/api/dist/routes.js';
import { describe, expect, test } from 'vitest';
import { bullBoardPath, redirectOf, routeOf } from './routes.ts';

const DEAD = '/api/queues/dispatch-dead-letter';
const TITLED = '/api/queues/Dead%20letters';
const RECEIPTS = '/api/queues/dispatch-receipt';
const ID = 'a'.repeat(64);

describe('what exists', () => {
  const one = { kind: 'action', queue: 'dispatch-dead-letter' };
  test.each([
    ['GET', '/', { kind: 'view' }],
    ['HEAD', '/', { kind: 'view' }],
    ['GET', '/queue/dispatch', { kind: 'view' }],
    ['GET', `/queue/dispatch-dead-letter/${ID}`, { kind: 'view' }],
    ['GET', '/static/js/async/main.f10757109b.js', { kind: 'view' }],
    ['GET', '/api/queues', { kind: 'view' }],
    ['GET', '/api/queues/dispatch/0b9f/logs', { kind: 'view' }],
    ['GET', '/queue/Dead%20letters', { kind: 'view' }],
    ['GET', '/queue/Runs/0b9f', { kind: 'view' }],
    ['GET', '/api/queues/Dispatches/0b9f/flow', { kind: 'view' }],
    ['GET', '/find', { kind: 'find', id: undefined }],
    ['HEAD', '/find/0b9f', { kind: 'find', id: '0b9f' }],
    ['GET', '/find/a%20b', { kind: 'find', id: 'a b' }],
    ['GET', '/runs/0b9f', { kind: 'runs', id: '0b9f' }],
    ['GET', `${DEAD}/${ID}`, { kind: 'view' }],
    ['PUT', `${DEAD}/${ID}/retry`, { ...one, action: 'retry', jobId: ID }],
    ['PUT', `${DEAD}/${ID}/clean`, { ...one, action: 'remove', jobId: ID }],
    ['PUT', `${DEAD}/job-a%20b/retry`, { ...one, action: 'retry', jobId: 'job-a b' }],
    ['PUT', `${DEAD}/retry/failed`, { ...one, action: 'retry_all' }],
    ['PUT', `${TITLED}/${ID}/retry`, { ...one, action: 'retry', jobId: ID }],
    ['PUT', `${TITLED}/${ID}/clean`, { ...one, action: 'remove', jobId: ID }],
    ['PUT', `${TITLED}/retry/failed`, { ...one, action: 'retry_all' }],
    ['PUT', `${RECEIPTS}/0b9f/retry`, { ...one, queue: 'dispatch-receipt', action: 'retry', jobId: '0b9f' }],
    [
      'PUT',
      '/api/queues/Runs/0b9f/retry',
      { ...one, queue: 'dispatch-receipt', action: 'retry', jobId: '0b9f' },
    ],
  ])('%s %s', (method, path, route) => {
    expect(routeOf(method, path)).toEqual(route);
  });
});

describe('what does not', () => {
  test.each([
    ['GET', '/elsewhere'],
    ['GET', '/queue/elsewhere'],
    ['GET', '/static/'],
    ['GET', '/static/%2e%2e/package.json'],
    ['GET', '/api/redis/stats'],
    ['GET', '/api/queues/elsewhere/1'],
    ['GET', '//'],
    ['GET', '/find/'],
    ['GET', '/find/a/b'],
    ['GET', '/find/%'],
    ['GET', '/runs'],
    ['GET', '/queue/Dead%2520letters'],
    ['GET', '/queue/dead%20letters'],
  ])('%s %s: 404', (method, path) => {
    expect(routeOf(method, path)).toEqual({ kind: 'not_found' });
  });

  test.each([
    ['PUT', `${DEAD}/retry/completed`],
    ['PUT', `${DEAD}/retry/failed/`],
    ['PUT', `${DEAD}/Retry/failed`],
    ['PUT', `${DEAD}/clean/failed`],
    ['PUT', `${DEAD}/clean/clean`],
    ['PUT', `${DEAD}/clean/retry`],
    ['PUT', `${DEAD}/CLEAN/retry`],
    ['PUT', `${DEAD}/retry/clean`],
    ['PUT', `${DEAD}//retry`],
    ['PUT', `${DEAD}/%/retry`],
    ['PUT', `${DEAD}/${ID}/retry/`],
    ['PUT', `${DEAD}/${ID}/Clean`],
    ['PUT', `${DEAD}/a/b/clean`],
    ['PUT', `/API/queues/dispatch-dead-letter/${ID}/retry`],
    ['PUT', `/api/queues/Dispatch-dead-letter/${ID}/retry`],
    ['PUT', `/api/queues/dispatch%2Ddead-letter/${ID}/retry`],
    ['PUT', `/x${DEAD}/${ID}/retry`],
    ['PUT', `/api/queues/dispatch/${ID}/retry`],
    ['PUT', `/api/queues/dispatch/${ID}/clean`],
    ['PUT', '/api/queues/dispatch/retry/failed'],
    ['PUT', '/api/queues/Dispatches/0b9f/retry'],
    ['PUT', `${RECEIPTS}/0b9f/clean`],
    ['PUT', `${RECEIPTS}/retry/failed`],
    ['PUT', '/api/queues/Runs/retry/failed'],
    ['PUT', `${RECEIPTS}/clean/retry`],
    ['PUT', '/find/0b9f'],
    ['POST', '/find'],
    ['PUT', '/'],
    ['POST', `${DEAD}/${ID}/retry`],
    ['PATCH', `${DEAD}/${ID}/retry`],
    ['DELETE', `${DEAD}/${ID}`],
    ['OPTIONS', `${DEAD}/${ID}/retry`],
    ['TRACE', '/'],
    ['get', '/'],
  ])('%s %s: 405', (method, path) => {
    expect(routeOf(method, path)).toEqual({ kind: 'method_not_allowed' });
  });
});

test('of the mutating routes that the installed Bull Board has, three exist for dead letters, and one for receipts', () => {
  const mutations = appRoutes.api
    .filter(({ method }) => method !== 'get')
    .flatMap(({ method, route }) =>
      [route].flat().map(path => [String(method).toUpperCase(), path] as const),
    );
  expect(mutations.length).toBeGreaterThan(20);
  const existing = (queue: string) =>
    mutations
      .filter(([method, path]) => {
        const values = { queueName: queue, queueStatus: 'failed', jobId: ID, schedulerId: 'daily' };
        const filled = Object.entries(values).reduce(
          (url, [name, value]) => url.replace(`:${name}`, value),
          path,
        );
        return routeOf(method, filled).kind !== 'method_not_allowed';
      })
      .map(([, path]) => path);
  expect(existing('dispatch-dead-letter')).toEqual([
    '/api/queues/:queueName/retry/:queueStatus',
    '/api/queues/:queueName/:jobId/retry',
    '/api/queues/:queueName/:jobId/clean',
  ]);
  expect(existing('dispatch-receipt')).toEqual(['/api/queues/:queueName/:jobId/retry']);
  expect(existing('dispatch')).toEqual([]);
});

test.each([
  ['/queue/Dead%20letters', '', '/queue/Dead%20letters?status=failed'],
  ['/queue/Dead%20letters', '?page=2', '/queue/Dead%20letters?page=2&status=failed'],
  ['/queue/Dead%20letters', '?status=active', undefined],
  ['/queue/dispatch-dead-letter', '', '/queue/Dead%20letters?status=failed'],
  ['/queue/dispatch-dead-letter', '?status=active', '/queue/Dead%20letters?status=active'],
  [`/queue/dispatch-dead-letter/${ID}`, '', `/queue/Dead%20letters/${ID}`],
  [`/queue/Dead%20letters/${ID}`, '', undefined],
  ['/queue/Runs', '', '/queue/Runs?status=failed'],
  ['/queue/dispatch-receipt/a%2Fb', '?status=failed', '/queue/Runs/a%2Fb?status=failed'],
  ['/queue/Dispatches', '', undefined],
  ['/queue/dispatch', '', '/queue/Dispatches'],
  ['/queue/elsewhere', '', undefined],
  ['/', '', undefined],
  ['/api/queues/dispatch', '', undefined],
])('%s%s leads to %s', (path, search, target) => {
  expect(redirectOf(path, search)).toBe(target);
});

test.each([
  [DEAD, TITLED],
  [`${DEAD}/${ID}/retry`, `${TITLED}/${ID}/retry`],
  [`${TITLED}/${ID}`, `${TITLED}/${ID}`],
  [`${RECEIPTS}/0b9f/logs`, '/api/queues/Runs/0b9f/logs'],
  ['/api/queues', '/api/queues'],
  ['/api/queues/elsewhere', '/api/queues/elsewhere'],
  ['/', '/'],
])('Bull Board knows %s as %s', (path, known) => {
  expect(bullBoardPath(path)).toBe(known);
});
