import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { onPath } from '../support/on-path.ts';
import { exportedMetrics } from './exported-metrics.ts';

const FOLDER = join(import.meta.dirname, '../../helm/files');
const RULES = join(FOLDER, 'alerts.yaml');
const RULE_TESTS = join(FOLDER, 'alerts.test.yaml');
const RUNBOOK = join(import.meta.dirname, '../../docs/operations.md');

test('the alerts fire when they should, and only then', async context => {
  const promtool = await onPath('promtool', 'prometheus', context);
  const run = (...args: string[]) => promisify(execFile)(promtool, args, { timeout: 170_000 });
  await run('check', 'rules', RULES);
  await run('test', 'rules', RULE_TESTS);
});

test('every metric in the rules is one that a process exports', async () => {
  const exported = new Set([...(await exportedMetrics()).values()].flat());
  const named = new Set((await readFile(RULES, 'utf8')).match(/\bflux_dispatch_\w+/g));
  expect(named.size).toBeGreaterThan(5);
  expect([...named].filter(name => !exported.has(name))).toEqual([]);
});

interface Alert {
  readonly name: string;
  readonly text: string;
}

async function alerts(): Promise<Alert[]> {
  const [, ...rules] = (await readFile(RULES, 'utf8')).split('- alert: ');
  return rules.map(text => ({ name: text.slice(0, text.indexOf('\n')), text }));
}

test('every alert says how bad it is, since when, and where its runbook is', async () => {
  for (const { name, text } of await alerts()) {
    expect.soft(text, name).toMatch(/^ +severity: (?:warning|critical)$/m);
    expect.soft(text, name).toMatch(/^ +for: \d+m$/m);
    expect.soft(text, name).toMatch(/^ +summary: \S/m);
    expect.soft(text, name).toMatch(/^ +description: \S/m);
    expect
      .soft(text, name)
      .toMatch(new RegExp(`^ +runbook_url: https://\\S+/docs/operations\\.md#${name.toLowerCase()}$`, 'm'));
  }
});

test('the runbook has a section for each alert, and for no other', async () => {
  const sections = (await readFile(RUNBOOK, 'utf8')).matchAll(/^#+ (FluxDispatch\w+)$/gm);
  const names = (await alerts()).map(({ name }) => name);
  expect([...sections].map(([, name]) => name).sort()).toEqual(names.toSorted());
});

/** The queries that the runbook gives, in blocks and in its sentences. */
async function runbookQueries(): Promise<string[]> {
  const text = await readFile(RUNBOOK, 'utf8');
  const fence = /^ *```(\w*)\n(.*?)^ *```$/gms;
  const blocks = [...text.matchAll(fence)].flatMap(([, language, code = '']) =>
    language === 'promql' ? code : [],
  );
  const spans = [...text.replaceAll(fence, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
  // What has no function is a metric that a sentence names.
  return [...blocks, ...spans.filter(span => /\(.*flux_dispatch_/.test(span))];
}

test('the queries of the runbook are valid, and name metrics that a process exports', async context => {
  const promtool = await onPath('promtool', 'prometheus', context);
  const queries = await runbookQueries();
  expect(queries.length).toBeGreaterThan(3);
  const exported = new Set([...(await exportedMetrics()).values()].flat());
  const named = queries.flatMap(query => query.match(/\bflux_dispatch_\w+/g) ?? []);
  expect(named.filter(name => !exported.has(name))).toEqual([]);

  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-runbook-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const rules = queries.map((expr, index) => ({ record: `runbook:query:${index}`, expr }));
  await writeFile(join(folder, 'rules.yaml'), stringify({ groups: [{ name: 'runbook', rules }] }));
  await promisify(execFile)(promtool, ['check', 'rules', join(folder, 'rules.yaml')], { timeout: 50_000 });
});

test('the runbook counts a series that appears with its first count, as the rules do', async () => {
  // Those of one label that is known beforehand begin at 0.
  const labelled = /_(?:dispatches|dispatch_errors|retries|dead_letters|dedup_hits|events_received)_total/;
  for (const query of await runbookQueries()) {
    if (!labelled.test(query) || !/\b(?:increase|rate)\(/.test(query)) continue;
    expect.soft(query).toMatch(/max_over_time\(.* unless last_over_time\(.* offset .* or\s+increase\(/s);
  }
});

test('every alert is tested both firing and not firing', async () => {
  const cases = (await readFile(RULE_TESTS, 'utf8')).split(/^ +- expr: /m).slice(1);
  for (const { name } of await alerts()) {
    const own = cases.filter(text => text.startsWith(`ALERTS{alertname="${name}"`));
    const quiet = own.filter(text => text.includes('exp_samples: []'));
    expect.soft(quiet.length, `${name} not firing`).toBeGreaterThan(0);
    expect.soft(own.length - quiet.length, `${name} firing`).toBeGreaterThan(0);
  }
});

test('the command for other names of the jobs, as the runbook has it, leaves none of ours', async () => {
  const command = /`sed '([^']+)'`/.exec(await readFile(RUNBOOK, 'utf8'))?.[1] ?? 'no command';
  const { stdout } = await promisify(execFile)('sed', [command, RULES]);
  const jobs = (text: string) => text.match(/\bjob=~?"[^"]*"/g) ?? [];
  const ours = jobs(await readFile(RULES, 'utf8'));
  expect(ours.length).toBeGreaterThan(5);
  expect(jobs(stdout)).toEqual(ours.map(job => job.replace('flux-dispatch-', 'platform-')));
});
