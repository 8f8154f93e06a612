import { randomUUID } from 'node:crypto';
import { createLogger } from '@flux-dispatch/runtime/log';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, test, vi } from 'vitest';
import { testDispatch } from '../../test/support/a-dispatch.ts';
import { openDeadLetters, readDeadLetter } from './dead-letter.ts';
import { GaveUpWaiting } from './patience.ts';

describe('an entry that no worker parks, as while all of them are away', () => {
  // Only the clock of the patience, as Redis is a real one.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  test.each(['bury', 'removeOwn'] as const)('%s waits for 30 s, then says so and gives up', async act => {
    const redis = new Redis(inject('redisUrl'));
    const lines: Record<string, unknown>[] = [];
    const log = createLogger('test', 'info', { write: line => void lines.push(JSON.parse(line)) });
    const deadLetters = openDeadLetters(redis, `{dead-letter-${randomUUID()}}`, log);
    const dispatch = testDispatch();
    const { dispatch_id } = dispatch.payload;
    const death = (run: number) => ({
      ...{ hint: 'Install it.', error: { code: '404', message: 'GitHub answered 404' }, attempts: 1, run },
      ...{ dispatch_id, dedup_id: dispatch.dedup_id, dispatch, before: undefined },
    });
    expect(await deadLetters.bury('a dispatch', death(1), Date.now())).toEqual({ written: true });

    const looks = vi.spyOn(redis, 'evalsha');
    let ended = false;
    const wait =
      act === 'bury' ? deadLetters.bury('a dispatch', death(2), Date.now()) : deadLetters.removeOwn(dispatch);
    const rejected = expect(wait.finally(() => (ended = true))).rejects.toThrow(GaveUpWaiting);
    await until('it has looked more than once', () => looks.mock.calls.length > 3);
    expect([ended, lines]).toEqual([false, []]);
    vi.advanceTimersByTime(31_000);
    await rejected;
    expect(lines).toMatchObject([
      { level: 'warn', dispatch_id, msg: expect.stringMatching(/^Waited 30 s for/) },
    ]);
    redis.disconnect();
  });
});

describe('an entry of another version', () => {
  test('what it lacks or has otherwise is replaced', () => {
    expect(
      readDeadLetter({ hint: 'Install it.', run: null, attempts: 'two', dispatch: { version: 1 }, more: 1 }),
    ).toEqual({
      hint: 'Install it.',
      error: { code: 'internal', message: 'The entry does not say why' },
      ...{
        attempts: 1,
        deaths: 1,
        first_died_at: '',
        last_died_at: '',
        dispatch_id: '',
        dedup_id: undefined,
      },
      ...{ run: 0, dispatch: { version: 1 } },
    });
  });

  test.each([null, 'text', 7, undefined])('%j is none', data => {
    expect(readDeadLetter(data)).toBeUndefined();
  });
});
