import { createLogger } from '@flux-dispatch/runtime/log';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GaveUpWaiting, repeat } from './patience.ts';

// Between two tries it waits for real, and not long.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

function open() {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('test', 'info', { write: line => void lines.push(JSON.parse(line)) });
  return { lines, wait: { for: 'a test', everyMs: 1, log, about: { dispatch_id: 'an id' } } };
}

test('what comes in time is returned, and nothing is logged', async () => {
  const { lines, wait } = open();
  let tries = 0;
  const step = async () => {
    vi.advanceTimersByTime(5000);
    return ++tries === 6 ? 'there' : undefined;
  };
  expect(await repeat(step, wait)).toBe('there');
  expect(lines).toEqual([]);
});

test('after 30 s the wait ends, with a line that says what for', async () => {
  const { lines, wait } = open();
  let tries = 0;
  const step = async () => {
    tries++;
    vi.advanceTimersByTime(5000);
    return undefined;
  };
  await expect(repeat(step, wait)).rejects.toThrow(GaveUpWaiting);
  expect(tries).toBe(6);
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'warn',
      dispatch_id: 'an id',
      msg: 'Waited 30 s for a test: the job goes back to its queue and is tried again later',
    }),
  ]);
});

test('an error ends it at once', async () => {
  const { lines, wait } = open();
  await expect(repeat(() => Promise.reject(new Error('refused')), wait)).rejects.toThrow('refused');
  expect(lines).toEqual([]);
});
