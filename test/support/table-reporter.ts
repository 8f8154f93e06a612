import { table } from '@flux-dispatch/testbed/table';
import type { Reporter, TestModule } from 'vitest/node';
import type { Figures } from './ledger.ts';

const COLUMNS = [
  'events',
  'accepted',
  'dispatched',
  'lost',
  'twice',
  'dead',
] as const satisfies (keyof Figures)[];

/** Prints one table of all faults once they are through, and what else they have measured. */
export default class TableReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap(module => [...module.children.allTests()]);
    for (const test of tests) {
      const { notes = [] } = test.meta();
      if (notes.length > 0) process.stdout.write(`\n${[test.name, ...notes].join('\n  ')}\n`);
    }
    const rows = tests.flatMap(test => {
      const { figures } = test.meta();
      return figures ? [[test.name, figures] as const] : [];
    });
    if (rows.length === 0) return;
    const sum = (column: keyof Figures) => rows.reduce((total, [, figures]) => total + figures[column], 0);
    const lines = [
      ['fault', ...COLUMNS],
      ...rows.map(([name, figures]) => [name, ...COLUMNS.map(column => `${figures[column]}`)]),
      ['all', ...COLUMNS.map(column => `${sum(column)}`)],
    ];
    process.stdout.write(`\n${table(lines)}\n\n`);
  }
}
