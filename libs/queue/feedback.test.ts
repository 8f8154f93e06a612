import { expect, test } from 'vitest';
import { readFeedback, writeFeedback } from './feedback.ts';

test.each([
  ['as it is', 'GitHub answered 404. Install the App.', 'GitHub answered 404. Install the App.'],
  ['in one line', ' GitHub answered 404.\n\tInstall the App.\r\n', 'GitHub answered 404. Install the App.'],
  ['cut to 500 characters', 'x'.repeat(501), `${'x'.repeat(499)}…`],
  ['not cut at 500 characters', 'x'.repeat(500), 'x'.repeat(500)],
  ['cut between characters', '😀'.repeat(501), `${'😀'.repeat(499)}…`],
  ['without half of a surrogate pair', 'half of \ud83d', 'half of \ufffd'],
  ['where there is nothing to say', '', ''],
])('a message comes back: %s', (_, message, expected) => {
  for (const outcome of ['undeliverable', 'no_run'] as const) {
    expect(readFeedback(writeFeedback({ outcome, message }))).toEqual({ outcome, message: expected });
  }
});

test.each(['', 'undeliverable', 'of_a_later_version why'])('%j is no feedback', text => {
  expect(readFeedback(text)).toBeUndefined();
});
