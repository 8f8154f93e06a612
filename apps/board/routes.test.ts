import { appRoutes } from '@bull-board/api/dist/routes.js';
import { describe, expect, test } from 'vitest';
import { routeOf } from './routes.ts';

const DEAD = '/api/queues/dispatch-dead-letter';
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
    ['GET', `${DEAD}/${ID}`, { kind: 'view' }],
    ['PUT', `${DEAD}/${ID}/retry`, { ...one, action: 'retry', jobId: ID }],
    ['PUT', `${DEAD}/${ID}/clean`, { ...one, action: 'remove', jobId: ID }],
    ['PUT', `${DEAD}/job-a%20b/retry`, { ...one, action: 'retry', jobId: 'job-a b' }],
    ['PUT', `${DEAD}/retry/failed`, { ...one, action: 'retry_all' }],
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

test('of the mutating routes that the installed Bull Board has, three exist, and only for dead letters', () => {
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
  expect(existing('dispatch')).toEqual([]);
});
