import { afterEach, describe, expect, test } from 'vitest';
import { captureConsole, createLogger } from './log.ts';

function recorder() {
  const lines: string[] = [];
  const log = createLogger('ingest', 'info', { write: line => lines.push(line) });
  return { log, lines };
}

/** An error as HTTP clients throw it: with the request, and that with its credentials. */
function httpError() {
  const request = { headers: { authorization: 'Bearer hunter2' } };
  return Object.assign(new Error('401 Unauthorized', { cause: { request } }), { request });
}

test('one JSON object a line, with the level as a word and the process', () => {
  const { log, lines } = recorder();
  log.info({ outcome: 'enqueued', repo: 'Altinn/a' }, 'Event');
  log.warn({ detail: 'first\nsecond' }, 'Event');
  log.debug('below the level');

  expect(lines).toHaveLength(2);
  expect(lines.every(line => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)).toBe(true);
  expect(lines.map(line => JSON.parse(line))).toEqual([
    {
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      process: 'ingest',
      outcome: 'enqueued',
      repo: 'Altinn/a',
      msg: 'Event',
    },
    expect.objectContaining({ level: 'warn', detail: 'first\nsecond' }),
  ]);
});

describe('an error is logged without what clients attach to it', () => {
  test.each([
    ['as err', (error: Error) => ({ err: error })],
    ['as the object itself', (error: Error) => error],
  ])('%s', (_, fields) => {
    const { log, lines } = recorder();
    log.error(fields(httpError()), 'Request failed');
    expect(lines.join()).not.toContain('hunter2');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      err: { type: 'Error', message: '401 Unauthorized', stack: expect.stringContaining('log.test.ts') },
      msg: 'Request failed',
    });
  });

  test.each([
    ['a string', 'out of order', { type: 'string', message: 'out of order' }],
    ['null', null, { type: 'object', message: 'null' }],
    ['any object', { authorization: 'hunter2' }, { type: 'object', message: '[object Object]' }],
  ])('%s that was thrown instead of an error', (_, thrown, err) => {
    const { log, lines } = recorder();
    log.fatal({ err: thrown }, 'Unexpected error');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ err, msg: 'Unexpected error' });
    expect(lines.join()).not.toContain('hunter2');
  });
});

describe('the console of libraries', () => {
  const { log, info, warn, error } = console;
  afterEach(() => Object.assign(console, { log, info, warn, error }));

  test('goes through the log, without what is attached to an error', () => {
    const recorded = recorder();
    captureConsole(recorded.log);
    const { log, info, warn, error } = console;
    log('%s of %d', 'one', 2);
    info({ a: 1 });
    warn('deprecated');
    error('failed:', httpError());

    expect(recorded.lines.map(line => JSON.parse(line))).toMatchObject([
      { level: 'info', source: 'console', msg: 'one of 2' },
      { level: 'info', source: 'console', msg: '{ a: 1 }' },
      { level: 'warn', source: 'console', msg: 'deprecated' },
      { level: 'error', source: 'console', msg: expect.stringMatching(/^failed: Error: 401 Unauthorized\n/) },
    ]);
    expect(recorded.lines.join()).not.toContain('hunter2');
  });
});
