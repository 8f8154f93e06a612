import { expect, test } from 'vitest';
import { quote, truncate } from './text.ts';

test.each([
  ['short', 10, 'short'],
  ['x'.repeat(10), 10, 'x'.repeat(10)],
  ['x'.repeat(11), 10, 'x'.repeat(10)],
  ['xxx🚀', 5, 'xxx🚀'],
  ['xxx🚀', 4, 'xxx'],
  ['xxx🚀', 3, 'xxx'],
])('%j cut at %i is %j', (text, length, expected) => {
  expect(truncate(text, length)).toBe(expected);
});

test.each([
  ['', '""'],
  ['a "b"', '"a \\"b\\""'],
  ['a\nb', '"a\\nb"'],
  ['x'.repeat(120), `"${'x'.repeat(120)}"`],
  ['x'.repeat(121), `"${'x'.repeat(120)}…"`],
])('%j is quoted as %s', (text, expected) => {
  expect(quote(text)).toBe(expected);
});
