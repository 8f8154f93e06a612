import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, inject, type TestContext, test } from 'vitest';
import { parse } from 'yaml';
import { onPath } from '../support/on-path.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'docs/workflows');

interface Step {
  readonly env?: Readonly<Record<string, string>>;
  readonly run?: string;
}

interface Workflow {
  readonly 'run-name'?: string;
  readonly on: { readonly repository_dispatch: { readonly types: readonly string[] } };
  readonly jobs: Readonly<Record<string, { readonly if?: string; readonly steps: readonly Step[] }>>;
}

/** Every workflow to copy, by where it stands. */
async function samples(): Promise<[where: string, workflow: Workflow][]> {
  const names = await readdir(FOLDER);
  const files = names.map(
    async (name): Promise<[string, string]> => [
      `docs/workflows/${name}`,
      await readFile(join(FOLDER, name), 'utf8'),
    ],
  );
  const blocks = (await readFile(join(ROOT, 'README.md'), 'utf8')).matchAll(/^```yaml\n(.*?)^```$/gms);
  const inReadme = [...blocks].map(([, text = '']): [string, string] => ['README.md', text]);
  const texts = [...(await Promise.all(files)), ...inReadme];
  return texts
    .filter(([, text]) => /^ {2}repository_dispatch:/m.test(text))
    .map(([where, text]) => [where, parse(text)]);
}

test('every sample workflow names its dispatch, and has no value of the payload in a script', async () => {
  const workflows = await samples();
  expect(new Set(workflows.map(([where]) => where)).size).toBe(2);
  for (const [where, workflow] of workflows) {
    expect
      .soft(workflow['run-name'], where)
      .toMatch(/\[\$\{\{ github\.event\.client_payload\.dispatch_id \}\}\]/);
    const scripts = Object.values(workflow.jobs).flatMap(({ steps }) => steps.map(({ run = '' }) => run));
    expect.soft(scripts.join('\n'), where).not.toContain('${{');
  }
});

interface Issue {
  readonly number: number;
  readonly title: string;
  body: string;
  state: 'open' | 'closed';
}

/** Plays the GitHub CLI, with the issues in a file beside it. */
const GH = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const file = __dirname + '/issues.json';
const issues = JSON.parse(readFileSync(file, 'utf8'));
const [command, ...args] = process.argv.slice(2);
const option = name => args[args.indexOf(name) + 1];
if (command === 'api') {
  const { searchParams } = new URL(args[0], 'https://api.github.com');
  if (searchParams.get('labels') !== 'deploy-failed') throw new Error('another label');
  const state = searchParams.get('state');
  const found = issues.filter(issue => state === 'all' || issue.state === state);
  process.stdout.write(execFileSync('jq', ['--raw-output', option('--jq')], { input: JSON.stringify(found) }));
} else if (args[0] === 'create') {
  if (option('--label') !== 'deploy-failed') throw new Error('another label');
  const body = readFileSync(option('--body-file'), 'utf8');
  issues.push({ number: issues.length + 1, title: option('--title'), body, state: 'open' });
} else if (args[0] === 'close') {
  issues.find(({ number }) => number === Number(args[1])).state = 'closed';
} else if (args[0] !== 'comment') {
  throw new Error('unknown: ' + process.argv.join(' '));
}
writeFileSync(file, JSON.stringify(issues));
`;

interface Payload {
  readonly outage: string;
  readonly reason?: string;
  readonly message?: string;
}

/** A repository with the incident workflow and no issues. */
async function openRepository(context: TestContext) {
  await onPath('jq', 'jq', context);
  const { jobs }: Workflow = parse(await readFile(join(FOLDER, 'deploy-incident.yml'), 'utf8'));
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-workflow-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'gh'), GH, { mode: 0o755 });
  const issues = join(bin, 'issues.json');
  await writeFile(issues, '[]');

  /** Runs a job with a payload, and returns what it has set as outputs. */
  async function run(job: 'open' | 'close', { outage, reason = 'HealthCheckFailed', message = '' }: Payload) {
    const [step] = jobs[job]?.steps ?? [];
    const client_payload = {
      ...{ product: 'dialogporten', environment: 'at23', reason, message, revision: 'at23@sha256:1' },
      flux: { outage: { id: outage, since: '2026-11-21T20:00:00Z', duration_seconds: 90 } },
    };
    const github = { token: 't', repository: 'Altinn/dialogporten', run_id: 1, event: { client_payload } };
    const env = Object.entries(step?.env ?? {}).map(([name, value]) => [name, evaluate(value, { github })]);
    const output = join(folder, 'output');
    await writeFile(output, '');
    await writeFile(join(folder, 'script.sh'), step?.run ?? '');
    await promisify(execFile)('bash', ['-e', 'script.sh'], {
      cwd: folder,
      env: { ...Object.fromEntries(env), PATH: `${bin}:${inject('path')}`, GITHUB_OUTPUT: output },
    });
    return readFile(output, 'utf8');
  }

  const acquired = stack.move();
  return {
    run,
    files: () => readdir(folder),
    issues: async (): Promise<Issue[]> => JSON.parse(await readFile(issues, 'utf8')),
    edit: (edited: readonly Issue[]) => writeFile(issues, JSON.stringify(edited)),
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}

/** An expression of GitHub Actions, as far as the workflow has them: values of the context, the first that is there. */
function evaluate(expression: string, context: object): string {
  const [, inner = ''] = /^\$\{\{ (.+) \}\}$/.exec(expression) ?? [];
  const values = inner.split(' || ').map(path =>
    // biome-ignore lint/suspicious/noExplicitAny: any JSON
    path.split('.').reduce((value: any, key) => value?.[key], context),
  );
  return String(values.find(Boolean) ?? '');
}

test('the incident workflow: failures open one issue for an outage, and its recovery closes that one', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  const states = async () => (await repository.issues()).map(({ state }) => state);

  expect(await run('open', { outage: 'o-1', reason: 'UpgradeFailed' })).toBe('opened=true\n');
  expect(await run('open', { outage: 'o-1', reason: 'RollbackSucceeded' })).toBe('');
  expect(await run('open', { outage: 'o-10' })).toBe('opened=true\n');
  expect(await states()).toEqual(['open', 'open']);

  await run('close', { outage: 'o-1' });
  expect(await states()).toEqual(['closed', 'open']);
  // A dispatch may arrive twice.
  expect(await run('open', { outage: 'o-1', reason: 'UpgradeFailed' })).toBe('');
  await run('close', { outage: 'o-1' });
  await run('close', { outage: 'o-2' });
  expect(await states()).toEqual(['closed', 'open']);

  // An issue that was edited in a browser has other line ends.
  const edited = await repository.issues();
  for (const issue of edited) issue.body = issue.body.replaceAll('\n', '\r\n');
  await repository.edit(edited);
  await run('close', { outage: 'o-10' });
  expect(await states()).toEqual(['closed', 'closed']);
  expect((await repository.issues()).map(({ title }) => title)).toEqual([
    'dialogporten in at23: UpgradeFailed',
    'dialogporten in at23: HealthCheckFailed',
  ]);
});

test('the incident workflow runs nothing of the payload, and takes no text of it for an outage', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  const before = await repository.files();
  const message =
    'Outage o-2\n\nOutage o-2\n$(touch hacked) `touch hacked` "; touch hacked; \'\n@everyone\n::set-output';
  await run('open', { outage: 'o-1', reason: '$(touch hacked) "; touch hacked; `touch hacked`', message });
  await run('close', { outage: 'o-2' });
  const [issue] = await repository.issues();
  expect(issue?.state).toBe('open');
  const [first, , ...lines] = issue?.body.trimEnd().split('\n') ?? [];
  expect(first).toBe('Outage o-1');
  expect(lines.map(line => line.slice(4)).join('\n')).toBe(message);
  expect(lines.filter(line => !line.startsWith('    '))).toEqual([]);
  expect((await repository.files()).filter(name => !before.includes(name)).sort()).toEqual([
    'body.md',
    'output',
    'script.sh',
  ]);
});
