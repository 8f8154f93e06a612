import { GaveUpWaiting } from '@flux-dispatch/queue/patience';
import { createLogger } from '@flux-dispatch/runtime/log';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { untilTaken } from './until-taken.ts';

// Between two tries it waits for real.
beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const MISCONF = 'MISCONF Errors writing to the AOF file: No space left on device';

function open() {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger('test', 'info', { write: line => void lines.push(JSON.parse(line)) });
  return { lines, options: { log, about: { dispatch_id: 'an id' } } };
}

test('a write that Redis refuses for now is repeated until it is taken', async () => {
  const { lines, options } = open();
  let refusals = 2;
  await untilTaken(async () => {
    if (refusals-- > 0) throw new Error(MISCONF);
  }, options);
  expect(lines).toEqual([]);
});

test('for 30 s at most, and not silently', async () => {
  const { lines, options } = open();
  const write = async () => {
    vi.advanceTimersByTime(15_000);
    throw new Error(MISCONF);
  };
  await expect(untilTaken(write, options)).rejects.toThrow(GaveUpWaiting);
  expect(lines).toMatchObject([{ level: 'warn', dispatch_id: 'an id' }]);
});

test('what Redis refuses for good is not repeated', async () => {
  const { options } = open();
  await expect(untilTaken(() => Promise.reject(new Error('WRONGTYPE')), options)).rejects.toThrow(
    'WRONGTYPE',
  );
});
