import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OUTCOMES, type Outcome, statusOf } from './outcome.ts';

const NAMES = Object.keys(OUTCOMES) as Outcome[];

test('REJECT_STATUS is the status of what the team has to change, and of nothing else', () => {
  const changed = NAMES.filter(
    outcome => statusOf(outcome, { REJECT_STATUS: 422 }) !== statusOf(outcome, { REJECT_STATUS: 200 }),
  );
  expect(changed).toEqual([
    'undeliverable',
    'no_run',
    'missing_dispatch_repo',
    'invalid_dispatch_repo',
    'invalid_dispatch_event',
    'invalid_dispatch_on',
    'invalid_dispatch_reasons',
  ]);
});

test('the README lists exactly the outcomes, with their status and meaning', () => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
  const [, section = ''] = /^### Outcomes of an event\n(.*?)^### /ms.exec(readme) ?? [];
  const [, , ...rows] = section.split('\n').filter(line => line.startsWith('|'));
  const cells = rows.map(row => row.split('|').map(cell => cell.trim()));
  expect(cells.map(([, ...row]) => row.slice(0, 4))).toEqual(
    NAMES.map(outcome => {
      const status = statusOf(outcome, { REJECT_STATUS: 422 });
      // https://github.com/fluxcd/notification-controller/blob/main/internal/notifier/client.go
      const isRetried = status === 429 || (status >= 500 && status !== 501);
      return [`\`${outcome}\``, String(status), OUTCOMES[outcome].meaning, isRetried ? 'yes' : 'no'];
    }),
  );
});
