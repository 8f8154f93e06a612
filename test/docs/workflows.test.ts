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

interface Comment {
  readonly body: string;
  /** Whether it is of the workflow, not of someone else. */
  readonly viewerDidAuthor: boolean;
}

interface Issue {
  readonly number: number;
  readonly title: string;
  body: string;
  state: 'open' | 'closed';
  comments: Comment[];
}

/** Plays the GitHub CLI, with the issues in a file beside it. */
const GH = `#!${process.execPath}
const { execFileSync } = require('node:child_process');
const { readFileSync, writeFileSync } = require('node:fs');
const file = __dirname + '/issues.json';
const issues = JSON.parse(readFileSync(file, 'utf8'));
const [command, ...args] = process.argv.slice(2);
const option = name => args[args.indexOf(name) + 1];
const print = value => {
  const input = JSON.stringify(value);
  process.stdout.write(execFileSync('jq', ['--raw-output', option('--jq')], { input }));
};
const wanted = () => issues.find(({ number }) => number === Number(args[1]));
if (command === 'api') {
  const { searchParams } = new URL(args.find(arg => arg.startsWith('repos/')), 'https://api.github.com');
  if (searchParams.get('labels') !== 'deploy-failed') throw new Error('another label');
  const state = searchParams.get('state');
  const found = issues.filter(issue => state === 'all' || issue.state === state).reverse();
  const size = Number(searchParams.get('per_page'));
  const pages = args.includes('--paginate') ? Math.max(1, Math.ceil(found.length / size)) : 1;
  for (let page = 0; page < pages; page++) print(found.slice(page * size, (page + 1) * size));
} else if (args[0] === 'create') {
  if (option('--label') !== 'deploy-failed') throw new Error('another label');
  const body = readFileSync(option('--body-file'), 'utf8');
  const number = issues.length + 1;
  issues.push({ number, title: option('--title'), body, state: 'open', comments: [] });
  process.stdout.write('https://github.com/Altinn/dialogporten/issues/' + number + '\\n');
} else if (args[0] === 'view') {
  if (option('--json') !== 'body,comments') throw new Error('other fields');
  print(wanted());
} else if (args[0] === 'close') {
  wanted().state = 'closed';
} else if (args[0] === 'reopen') {
  wanted().state = 'open';
} else if (args[0] === 'comment') {
  wanted().comments.push({ body: readFileSync(option('--body-file'), 'utf8'), viewerDidAuthor: true });
} else {
  throw new Error('unknown: ' + process.argv.join(' '));
}
writeFileSync(file, JSON.stringify(issues));
`;

interface Payload {
  readonly outage: string;
  readonly dispatch?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly revision?: string;
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
  async function run(job: 'open' | 'close', payload: Payload) {
    const { outage, dispatch = `d-${outage}`, ...rest } = payload;
    const { reason = 'HealthCheckFailed', message = '', revision = 'at23@sha256:1' } = rest;
    const [step] = jobs[job]?.steps ?? [];
    const client_payload = {
      ...{ product: 'dialogporten', environment: 'at23', dispatch_id: dispatch, reason, message, revision },
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

const OPENED = 'opened=true\n';
const FAILED = { outage: 'o-1', dispatch: 'd-1', reason: 'UpgradeFailed' };

/** The first line of each comment, with how long an outage lasted left out. */
function notes({ comments }: Issue): readonly string[] {
  return comments.map(({ body }) => body.split('\n')[0]?.replace(/ \d+ s, with:$/, '') ?? '');
}

test('the incident workflow: failures open one issue for an outage, and its recovery closes that one', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  const states = async () => (await repository.issues()).map(({ state }) => state);

  expect(await run('open', FAILED)).toBe(OPENED);
  expect(await run('open', { outage: 'o-1', dispatch: 'd-2', reason: 'RollbackSucceeded' })).toBe('');
  expect(await run('open', { outage: 'o-10' })).toBe(OPENED);
  expect(await states()).toEqual(['open', 'open']);

  // An issue that was edited in a browser has other line ends.
  const edited = await repository.issues();
  for (const issue of edited) issue.body = issue.body.replaceAll('\n', '\r\n');
  await repository.edit(edited);
  await run('close', { outage: 'o-1' });
  expect(await states()).toEqual(['closed', 'open']);
  await run('close', { outage: 'o-10' });
  expect(await states()).toEqual(['closed', 'closed']);

  const issues = await repository.issues();
  expect(issues.map(({ title }) => title)).toEqual([
    'dialogporten in at23: UpgradeFailed',
    'dialogporten in at23: HealthCheckFailed',
  ]);
  expect(issues.map(notes)).toEqual([['Dispatch d-2', 'Recovered after'], ['Recovered after']]);
});

test('the incident workflow: nothing happens for a dispatch that arrives twice', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  const twice = async (job: 'open' | 'close', payload: Payload) => {
    const output = await run(job, payload);
    const issues = await repository.issues();
    expect(await run(job, payload)).toBe('');
    expect(await repository.issues()).toEqual(issues);
    return output;
  };
  const later = { ...FAILED, dispatch: 'd-2', reason: 'RollbackSucceeded' };
  expect(await twice('open', FAILED)).toBe(OPENED);
  expect(await twice('open', later)).toBe('');
  await twice('close', { outage: 'o-1' });
  const issues = await repository.issues();
  for (const failure of [FAILED, later]) expect(await run('open', failure)).toBe('');
  expect(await repository.issues()).toEqual(issues);
});

test.for<[string, { by: 'hand' | 'recovery'; dispatch: string }, Issue['state'], readonly string[]]>([
  ['closed by hand, and a later failure', { by: 'hand', dispatch: 'd-2' }, 'open', ['Dispatch d-2']],
  ['closed by hand, and the same dispatch', { by: 'hand', dispatch: 'd-1' }, 'closed', []],
  [
    'closed by its recovery, and a failure that arrives late',
    { by: 'recovery', dispatch: 'd-2' },
    'closed',
    ['Recovered after', 'Dispatch d-2'],
  ],
])('the incident workflow: an issue that was %s', async ([, { by, dispatch }, state, comments], context) => {
  await using repository = await openRepository(context);
  const { run } = repository;
  await run('open', FAILED);
  if (by === 'recovery') await run('close', { outage: 'o-1' });
  else await repository.edit((await repository.issues()).map(issue => ({ ...issue, state: 'closed' })));

  expect(await run('open', { ...FAILED, dispatch })).toBe(state === 'open' ? OPENED : '');
  const [issue, ...others] = await repository.issues();
  expect(others).toEqual([]);
  expect(issue?.state).toBe(state);
  expect(issue && notes(issue)).toEqual(comments);
});

test('the incident workflow: a failure that its recovery has overtaken leaves no issue open', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  await run('close', { outage: 'o-1' });
  expect(await run('open', FAILED)).toBe('');
  await run('close', { outage: 'o-1' });
  const [issue, ...others] = await repository.issues();
  expect(others).toEqual([]);
  expect(issue).toMatchObject({ title: 'dialogporten in at23: recovered', state: 'closed' });
  expect(issue && notes(issue)).toEqual(['Recovered after', 'Dispatch d-1']);
});

test('the incident workflow finds an issue that is older than a page, and believes its own comments only', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  await run('open', FAILED);
  const [issue] = await repository.issues();
  if (!issue) throw new Error('there is none');
  const foreign = ['Dispatch d-2', 'Recovered after 1 s, with:'];
  const comments = foreign.map(body => ({ body, viewerDidAuthor: false }));
  const newer = Array.from({ length: 250 }, (_, i) => ({ ...issue, number: i + 2, body: `Outage n-${i}\n` }));
  await repository.edit([{ ...issue, state: 'closed', comments }, ...newer]);

  expect(await run('open', { ...FAILED, dispatch: 'd-2' })).toBe(OPENED);
  const state = async () => (await repository.issues())[0]?.state;
  expect(await state()).toBe('open');
  await run('close', { outage: 'o-1' });
  expect(await state()).toBe('closed');
  expect(await repository.issues()).toHaveLength(251);
});

test('the incident workflow runs nothing of the payload, and takes no text of it for its own', async context => {
  await using repository = await openRepository(context);
  const { run } = repository;
  const before = await repository.files();
  const hostile = '$(touch hacked) `touch hacked` "; touch hacked; \'\n@everyone\r@all\r\n::set-output';
  const message = `Outage o-2\n\nOutage o-2\rDispatch d-2\rRecovered after 1 s, with:\n${hostile}`;
  const failure = { outage: 'o-1', reason: '$(touch hacked) "; touch hacked; `touch hacked`', message };
  await run('open', { ...failure, dispatch: 'd-1' });
  await run('close', { outage: 'o-2', revision: message });
  expect((await repository.issues()).map(({ state }) => state)).toEqual(['open', 'closed']);
  await run('open', { ...failure, dispatch: 'd-2' });
  await run('close', { outage: 'o-1', revision: message });

  const [first, second] = await repository.issues();
  expect([first, second].map(issue => issue && notes(issue))).toEqual([
    ['Dispatch d-2', 'Recovered after'],
    ['Recovered after'],
  ]);
  const texts = [first, second].flatMap(issue => [
    issue?.body ?? '',
    ...(issue?.comments ?? []).map(c => c.body),
  ]);
  // To GitHub, a carriage return ends a line as well.
  const outside = texts.flatMap(text => text.split(/\r\n|[\r\n]/)).filter(line => !/^( {4}|$)/.test(line));
  expect(outside).toEqual([
    ...['Outage o-1', 'Dispatch d-1', 'Dispatch d-2', 'Recovered after 90 s, with:'],
    ...['Outage o-2', 'Its recovery came before any of its failures.', 'Recovered after 90 s, with:'],
  ]);
  const [, , , ...lines] = first?.body.trimEnd().split('\n') ?? [];
  const expected = `${failure.reason}\n${message}`.replaceAll('\r', '\n');
  expect(lines.map(line => line.slice(4)).join('\n')).toBe(expected);
  expect((await repository.files()).filter(name => !before.includes(name)).sort()).toEqual([
    ...['body.md', 'comment.md', 'output', 'script.sh'],
  ]);
});
