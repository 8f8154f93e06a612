import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { table } from '@flux-dispatch/testbed/table';
import { redisEnvironment } from '@flux-dispatch/testbed/test-redis';
import { createHistory } from './history.ts';
import { MUTATIONS, type Mutation, mutatedTree } from './mutations.ts';
import { type Report, runHistory } from './run.ts';
import { shrink } from './shrink.ts';
import type { History, Step } from './steps.ts';

const values = readFlags();

function readFlags() {
  const options = {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '1' },
    objects: { type: 'string', default: '16' },
    weeks: { type: 'string', default: '1' },
    shrink: { type: 'boolean', default: true },
    mutations: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ options, allowNegative: true }).values;
  } catch (error) {
    const flags = Object.keys(options).map(name => `--${name}`);
    process.stderr.write(`${(error as Error).message}. The flags are ${flags.join(', ')}\n`);
    process.exit(2);
  }
}

const number = (name: 'seed' | 'seeds' | 'objects' | 'weeks', max: number): number => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 1 && value <= max) return value;
  process.stderr.write(`--${name} must be a whole number from 1 to ${max}, not "${values[name]}"\n`);
  process.exit(2);
};
const seed = number('seed', 0x7fffffff);
const seeds = number('seeds', 1_000_000);
const objects = number('objects', 10_000);
// What is older than DEDUP_TTL (30 days) would be forgotten before it is sent.
const weeks = number('weeks', 3);
const print = (line: string) => process.stdout.write(`${line}\n`);

await using redis = await acquireRedis({
  given: redisEnvironment(process.env),
  urlAlone: true,
  path: process.env['PATH'],
});
if (values.mutations) await findMutations();
else await simulate();

async function simulate(): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const run = (history: History): Promise<Report> => runHistory(redis.url, history);
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
    if (values.shrink) {
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
  for (const mutation of MUTATIONS) {
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
    const env = { PATH: process.env['PATH'], REDIS_URL: redis.url };
    try {
      await promisify(execFile)(process.execPath, [main, ...options, '--no-shrink'], { env });
    } catch (error) {
      const { stdout } = error as { stdout?: string };
      // A run that fails otherwise has found nothing.
      if (!stdout?.includes('differences')) throw error;
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
