import { expect, test } from 'vitest';
import { NumberedLog } from './numbered-log.ts';

test('keeps the newest where there are too many', () => {
  const log = new NumberedLog<{ letter: string }>(3, 10);
  const { entries } = log;
  for (const letter of 'abcde') log.add({ letter });
  expect(entries).toEqual([
    { id: 12, letter: 'c' },
    { id: 13, letter: 'd' },
    { id: 14, letter: 'e' },
  ]);
  expect(log.received).toBe(5);
  log.clear();
  expect([entries, log.received]).toEqual([[], 0]);
  expect(log.add({ letter: 'f' })).toEqual({ id: 10, letter: 'f' });
});
