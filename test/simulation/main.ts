import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readFlags, wholeNumber } from '@flux-dispatch/testbed/flags';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { table } from '@flux-dispatch/testbed/table';
import { createHistory } from './history.ts';
import { MUTATIONS, type Mutation, mutatedTree } from './mutations.ts';
import { type Report, runHistory } from './run.ts';
import { shrink } from './shrink.ts';
import type { History, Step } from './steps.ts';

const USAGE = `Usage: npm run simulate -- [flags]

Plays the history of a cluster that a seed makes up to the real processes, and compares what GitHub received with a model.

  --seed N       the first seed (1)
  --seeds N      how many seeds (1)
  --objects N    how many objects the cluster has (16)
  --weeks N      how long the history is, up to 3 weeks: DEDUP_TTL is 30 days (1)
  --no-shrink    report a difference at once, without looking for a shorter history
  --mutations    put known faults into the sources, one at a time, and count the seeds until each is found
  --only TEXT    with --mutations: those whose description contains TEXT
  --help         print this
`;
const flags = readFlags(USAGE, {
  seed: { type: 'string', default: '1' },
  seeds: { type: 'string', default: '1' },
  objects: { type: 'string', default: '16' },
  weeks: { type: 'string', default: '1' },
  shrink: { type: 'boolean', default: true },
  mutations: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
});
const seed = wholeNumber('seed', flags.seed, 0x7fffffff);
const seeds = wholeNumber('seeds', flags.seeds, 1_000_000);
const objects = wholeNumber('objects', flags.objects, 10_000);
const weeks = wholeNumber('weeks', flags.weeks, 3);
const print = (line: string) => process.stdout.write(`${line}\n`);

const path = process.env['PATH'];
await using redis = await acquireRedis({ path, controllable: true, appendfsync: 'always' });
if (flags.mutations) await findMutations();
else await simulate();

async function simulate(): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const run = (history: History): Promise<Report> => runHistory(redis, history);
  for (let each = seed; each < seed + seeds; each++) {
    const history = createHistory({ seed: each, objects, weeks, now });
    const startedAt = Date.now();
    const report = await run(history);
    const { differences, posts, dispatches } = report;
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
    const counts = `${posts} posts, ${dispatches} dispatches, ${differences.length} differences`;
    print(`seed ${each}: ${counts}, ${seconds} s`);
    if (differences.length === 0) continue;

    process.exitCode = 1;
    for (const { what } of differences.slice(0, 5)) print(`  ${what}`);
    if (flags.shrink) {
      const shortest = await shrink(history, report, run);
      print(`The shortest history that was found (${JSON.stringify(history.settings)}):`);
      for (const step of shortest.history.steps) print(`  ${describe(step)}`);
      for (const { what } of shortest.report.differences) print(`  → ${what}`);
    }
    print(`Replay it with: npm run simulate -- --seed ${each} --objects ${objects} --weeks ${weeks}`);
    return;
  }
}

/** Puts one fault after another into the sources, and counts the seeds until each is found. */
async function findMutations(): Promise<void> {
  const rows = [['fault', 'seeds until it is found']];
  for (const mutation of MUTATIONS.filter(({ name }) => name.includes(flags.only))) {
    const found = await seedsUntilFound(mutation);
    if (found === undefined) process.exitCode = 1;
    rows.push([mutation.name, found === undefined ? `not found in ${seeds}` : `${found}`]);
    print(rows.at(-1)?.join(': ') ?? '');
  }
  print(`\n${table(rows)}`);
}

async function seedsUntilFound(mutation: Mutation): Promise<number | undefined> {
  await using tree = await mutatedTree(join(import.meta.dirname, '../..'), mutation);
  const main = join(tree.path, 'test/simulation/main.ts');
  for (let tried = 1; tried <= seeds; tried++) {
    const options = ['--seed', `${seed + tried - 1}`, '--objects', `${objects}`, '--weeks', `${weeks}`];
    try {
      await promisify(execFile)(process.execPath, [main, ...options, '--no-shrink'], { env: { PATH: path } });
    } catch (error) {
      const { stdout } = error as { stdout?: string };
      // A run that fails otherwise has found nothing.
      if (!stdout?.includes('Replay it with')) throw error;
      return tried;
    }
  }
  return undefined;
}

function describe(step: Step): string {
  if (step.kind !== 'post') return JSON.stringify(step);
  const { event, delivery } = step;
  const { reason, severity, timestamp, uid, message, metadata } = event;
  const { revision = '', dispatch_event: through, dispatch_repo: repo } = metadata;
  const at = timestamp === undefined ? 'no timestamp' : new Date(timestamp * 1000).toISOString();
  const said = message.split('\n', 1)[0]?.slice(0, 90);
  const what = `${reason} ${severity} ${revision.slice(0, 30)}`;
  return `${at} ${step.object} (${uid.slice(0, 8)}) ${what} through ${through} → ${repo} [${delivery}] ${said}`;
}
