import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { listensTo, readWorkflowFile } from './workflow-file.ts';

const JOBS = '\njobs:\n  deploy:\n    runs-on: ubuntu-latest\n    steps: [{ run: make deploy }]\n';

describe('the types of repository_dispatch that a workflow listens to', () => {
  test.each<[name: string, text: string, types: 'all' | string[] | undefined]>([
    ['a name', 'on: repository_dispatch', 'all'],
    ['a name in quotes', "on: 'repository_dispatch'", 'all'],
    ['another name', 'on: push', undefined],
    ['a list in a line', 'on: [push, repository_dispatch]', 'all'],
    ['a list in lines', 'on:\n  - push\n  - repository_dispatch', 'all'],
    ['a list that is not indented', 'on:\n- repository_dispatch\n- push', 'all'],
    ['a list without it', 'on: [push, pull_request]', undefined],
    ['an empty list', 'on: []', undefined],
    ['a map to nothing', 'on:\n  repository_dispatch:', 'all'],
    ['a map to null', 'on:\n  repository_dispatch: null', 'all'],
    ['a map to ~', 'on:\n  repository_dispatch: ~', 'all'],
    ['a map to an empty map', 'on:\n  repository_dispatch: {}', 'all'],
    ['types in a line', 'on:\n  repository_dispatch:\n    types: [a, flux-deploy]', ['a', 'flux-deploy']],
    ['types in lines', 'on:\n  repository_dispatch:\n    types:\n      - a\n      - b', ['a', 'b']],
    ['types that are not indented', 'on:\n  repository_dispatch:\n    types:\n    - a', ['a']],
    ['types as a name', 'on:\n  repository_dispatch:\n    types: flux-deploy', ['flux-deploy']],
    ['types in quotes', 'on:\n  repository_dispatch:\n    types: ["a", \'b\']', ['a', 'b']],
    ['types with an escape', 'on:\n  repository_dispatch:\n    types: ["\\x61\\u0062"]', ['ab']],
    [
      'types over several lines',
      'on:\n  repository_dispatch:\n    types: [\n      a,\n      b,\n    ]',
      ['a', 'b'],
    ],
    [
      'types that look like other things',
      'on: { repository_dispatch: { types: [1.10, on, true, 0x1F] } }',
      ['1.10', 'on', 'true', '0x1F'],
    ],
    ['a folded type', 'on:\n  repository_dispatch:\n    types: >-\n      flux-deploy', ['flux-deploy']],
    ['no types', 'on:\n  repository_dispatch:\n    types:', []],
    ['an empty list of types', 'on:\n  repository_dispatch:\n    types: []', []],
    ['JSON', '{"on": {"repository_dispatch": {"types": ["a"]}}, "jobs": {}}', ['a']],
    ['"on" in double quotes', '"on": repository_dispatch', 'all'],
    ["'on' in single quotes", "'on':\n  repository_dispatch:\n    types: [a]", ['a']],
    [
      'on that YAML 1.1 takes for true',
      '%YAML 1.1\n---\non:\n  repository_dispatch:\n    types: [yes]',
      ['yes'],
    ],
    ['a document marker', '---\non: repository_dispatch', 'all'],
    ['a byte order mark', '\uFEFFon: repository_dispatch', 'all'],
    ['a byte order mark and a marker', '\uFEFF---\non: repository_dispatch', 'all'],
    [
      'comments',
      '# on: push\non: # here\n  # and here\n  repository_dispatch: # there\n    types: [a] # b',
      ['a'],
    ],
    ['a comment without a space', 'on:\n  repository_dispatch:\n    types: [a]#, b]', ['a']],
    ['a commented type', 'on:\n  repository_dispatch:\n    types:\n      # - a\n      - b', ['b']],
    ['tabs that are no indentation', 'on:\trepository_dispatch\t# x', 'all'],
    [
      'other events with filters',
      'on:\n  push:\n    branches: [main]\n  schedule:\n    - cron: "0 0 * * *"\n  repository_dispatch:\n    types: [a]',
      ['a'],
    ],
    ['a name and a run-name before it', 'name: On push\nrun-name: deploy\non: repository_dispatch', 'all'],
    [
      'a reusable workflow',
      'on:\n  workflow_call:\n    inputs:\n      repository_dispatch:\n        type: string',
      undefined,
    ],
    ['a manual workflow', 'on: workflow_dispatch', undefined],
    ['the name elsewhere', 'name: repository_dispatch\non: push', undefined],
    [
      'an alias for the types',
      'env:\n  T: &type flux-deploy\non:\n  repository_dispatch:\n    types: [*type]',
      ['flux-deploy'],
    ],
    [
      'an alias for the list',
      'on:\n  pull_request:\n    types: &types [a, b]\n  repository_dispatch:\n    types: *types',
      ['a', 'b'],
    ],
    ['an alias for the event', 'on:\n  repository_dispatch: &e\n    types: [a]\n  release: *e', ['a']],
    ['an alias for all', 'defaults: &on [repository_dispatch]\non: *on', 'all'],
    [
      'an anchor that is given twice',
      'env: { A: &a x, B: &a y }\non: { repository_dispatch: { types: *a } }',
      ['y'],
    ],
    ['an alias of itself', 'on: &a [*a, repository_dispatch]', 'all'],
    ['a tag', 'on: !!str repository_dispatch', 'all'],
    ['on after the jobs', 'jobs: {}\non: repository_dispatch #', 'all'],
    ['an end marker', 'on: repository_dispatch\njobs: {}\n...\n#', 'all'],
  ])('%s', (_, text, dispatchTypes) => {
    const whole = /jobs/.test(text) ? text : text + JOBS;
    expect(readWorkflowFile(whole)).toMatchObject({ kind: 'workflow', dispatchTypes });
    if (!text.startsWith('%')) {
      expect(readWorkflowFile(whole.replaceAll('\n', '\r\n'))).toEqual(readWorkflowFile(whole));
    }
  });

  test.each<[text: string, type: string, listens: boolean]>([
    ['on: repository_dispatch', 'flux-deploy', true],
    ['on: { repository_dispatch: { types: [flux-deploy] } }', 'flux-deploy', true],
    ['on: { repository_dispatch: { types: [Flux-Deploy] } }', 'flux-deploy', false],
    ['on: { repository_dispatch: { types: [flux-*] } }', 'flux-deploy', false],
    ['on: { repository_dispatch: { types: [] } }', 'flux-deploy', false],
    ['on: push', 'push', false],
    ['on: [', 'flux-deploy', false],
  ])('%s, %s: %s', (text, type, listens) => {
    expect(listensTo(readWorkflowFile(text + JOBS), type)).toBe(listens);
  });
});

test.each([
  ['', 'event_type'],
  ['run-name:\n', 'event_type'],
  ["run-name: ' '\n", 'event_type'],
  ['run-name: 7\n', 'other'],
  ['run-name: E2E\n', 'other'],
  ['Run-Name: E2E\n', 'event_type'],
  ['name: &n E2E\nrun-name: *n\n', 'other'],
  [`run-name: e2e [\${{ github.event.client_payload.dispatch_id }}]\n`, 'dispatch_id'],
  [`run-name: >-\n  e2e\n  \${{ github.event.client_payload.dispatch_id }}\n`, 'dispatch_id'],
  [`run-name: "\${{ github.event.client_payload['dispatch_id'] }}"\n`, 'dispatch_id'],
])('%j before the jobs: the title of its runs is %s', (runName, runTitle) => {
  expect(readWorkflowFile(`${runName}on: repository_dispatch${JOBS}`)).toEqual({
    ...{ kind: 'workflow', dispatchTypes: 'all', runTitle },
  });
});

describe('a key that is misspelt', () => {
  test.each<[text: string, written: string, meant: string, line: number, types: 'all' | string[]]>([
    ['on:\n  repository_dispatch:\n    type: [a]', 'type', 'types', 3, ['a']],
    ['on:\n  repository_dispatch:\n    type: a', 'type', 'types', 3, ['a']],
    ['on:\n  repository_dispatch:\n    Types: [a]', 'Types', 'types', 3, ['a']],
    ['on:\n  repository_dispatch:\n    typs: [a]', 'typs', 'types', 3, ['a']],
    ['on:\n  repository_dispatch:\n    event_type: a', 'event_type', 'types', 3, ['a']],
    ['on:\n  repository_dispatch:\n    event-types: [a, b]', 'event-types', 'types', 3, ['a', 'b']],
    ['on:\n  repository_dispatch:\n    types: [a]\n    type: b', 'type', 'types', 4, ['b']],
    ['on: repository-dispatch', 'repository-dispatch', 'repository_dispatch', 1, 'all'],
    ['on:\n  repositoryDispatch:\n    types: [a]', 'repositoryDispatch', 'repository_dispatch', 2, ['a']],
    ['on:\n  repo_dispatch:', 'repo_dispatch', 'repository_dispatch', 2, 'all'],
    ['on:\n  - push\n  - repository_dispach', 'repository_dispach', 'repository_dispatch', 3, 'all'],
    ['on:\n  repository_dispatches:\n    type: a', 'repository_dispatches', 'repository_dispatch', 2, 'all'],
  ])('%j', (text, written, meant, line, types) => {
    expect(readWorkflowFile(text + JOBS)).toEqual({
      ...{ kind: 'workflow', dispatchTypes: undefined, runTitle: 'event_type' },
      misspelt: { written, meant, line, types },
    });
  });
});

describe('a file that GitHub does not accept', () => {
  test.each<[name: string, text: string, at: [number, number], message: RegExp]>([
    ['nothing', '', [1, 1], /empty/],
    ['a comment', '# soon\n', [1, 1], /empty/],
    ['a marker', '---\n', [1, 1], /empty/],
    ['null', '~', [1, 1], /empty/],
    ['a sentence', 'soon', [1, 1], /map with "on"/],
    ['a list', '- on: push', [1, 1], /map with "on"/],
    ['no on', 'name: x\njobs: {}', [1, 1], /"on" is missing/],
    ['On', 'On: push\njobs: {}', [1, 1], /"on" is missing/],
    ['no jobs', 'on: repository_dispatch', [1, 1], /"jobs" is missing/],
    ['a tab as indentation', 'on:\n\trepository_dispatch:\njobs: {}', [2, 1], /[Tt]ab/],
    ['a bracket that is not closed', 'on: [push\njobs: {}', [2, 1], /./],
    ['a quote that is not closed', 'name: "x\non: push\n', [3, 1], /closing/],
    ['a colon too many', 'on: push\nname: a: b\njobs: {}', [2, 7], /./],
    ['a wrong indentation', 'on:\n    push:\n  pull_request:\njobs: {}', [2, 10], /./],
    ['an escape that is none', 'on: "\\q"\njobs: {}', [1, 6], /escape/],
    ['a second document', 'on: push\njobs: {}\n---\non: push\n', [3, 1], /second YAML document/],
    ['a key twice', 'on: push\njobs: {}\non: pull_request\n', [3, 1], /key "on" is there twice/],
    ['a key twice further down', 'on: push\njobs:\n  a: { env: { X: 1, X: 2 } }', [3, 21], /key "X"/],
    [
      'a merge key',
      'x: &x { types: [a] }\non:\n  repository_dispatch:\n    <<: *x\njobs: {}',
      [4, 5],
      /merge keys/,
    ],
    ['an unknown anchor', 'on: *x\njobs: {}', [1, 5], /anchor "x"/],
    [
      'a filter that it does not have',
      'on:\n  repository_dispatch:\n    branches: [main]\njobs: {}',
      [3, 5],
      /no filter "branches"/,
    ],
    ['types under no key', 'on:\n  repository_dispatch: [a]\njobs: {}', [2, 24], /not a map with "types"/],
    [
      'types as a map',
      'on:\n  repository_dispatch:\n    types: { a: b }\njobs: {}',
      [3, 5],
      /not a list of names/,
    ],
    ['a run-name that is no text', 'on: push\nrun-name: [a]\njobs: {}', [2, 1], /"run-name" is not a text/],
    ['lists too deep', `on: ${'['.repeat(200_000)}`, [1, 104], /too deeply/],
    [
      'maps too deep',
      Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'),
      [100, 101],
      /too deeply/,
    ],
    ['pairs too deep', 'a: '.repeat(100_000), [1, 299], /too deeply/],
    ['several megabytes', `on: push\n${'# x\n'.repeat(1_000_000)}`, [1, 1], /over 1 MiB/],
  ])('%s', (_, text, [line, column], message) => {
    expect(readWorkflowFile(text)).toEqual({
      ...{ kind: 'invalid', line, column, message: expect.stringMatching(message) },
      mayListen: /repository_dispatch/.test(text),
    });
  });
});

describe('a file that is hard on a reader', () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`);

  test.each<[name: string, text: string]>([
    ['a bomb of aliases', `a0: &a0 x\n${levels.join('\n')}\non: repository_dispatch\njobs: *a30\n`],
    [
      'a bomb where the types are',
      `x0: &a0 x\n${levels.join('\n')}\non: { repository_dispatch: { types: *a30 } }\njobs: {}\n`,
    ],
    [
      'a hundred thousand aliases',
      `x: &x a\non: { repository_dispatch: { types: [${'*x, '.repeat(30_000)}] } }\njobs: {}\n`,
    ],
    ['many keys', `on: push\njobs: {}\n${Array.from({ length: 60_000 }, (_, i) => `k${i}: v`).join('\n')}`],
    ['many errors', '}'.repeat(1_000_000)],
    ['many documents', '---\n'.repeat(200_000)],
    ['many lines', '\n'.repeat(1_000_000)],
    ['brackets', '[]'.repeat(400_000)],
    ['nul', '\0'.repeat(1_000_000)],
  ])('%s ends', (_, text) => {
    const usage = process.cpuUsage();
    expect(readWorkflowFile(text)).toHaveProperty('kind');
    // CPU time, as another process may have the machine meanwhile.
    expect(process.cpuUsage(usage).user / 1e6).toBeLessThan(20);
  });

  test('that is too large to read is not called invalid', () => {
    expect(readWorkflowFile(`on: push\njobs:\n${'- a\n'.repeat(200_000)}`)).toEqual({
      kind: 'unread',
      reason: 'it is too large',
    });
  });
});

test('no text makes the reader throw', () => {
  const piece = fc.constantFrom(
    ...[
      'on',
      'repository_dispatch',
      'types',
      'type',
      'jobs',
      '<<',
      ': ',
      ':',
      '- ',
      '\n',
      '\n  ',
      '\n    ',
      '\t',
    ],
    ...[
      '[',
      ']',
      '{',
      '}',
      ',',
      '&a',
      '*a',
      '*b',
      '!x ',
      '"',
      "'",
      '|',
      '>',
      '#',
      '%YAML 1.1\n',
      '---\n',
      '...\n',
      '? ',
      '\uFEFF',
      '\r\n',
      '~',
      '\0',
      '\uD800',
      '@',
      '`',
    ],
  );
  const yaml = fc.array(fc.oneof({ weight: 9, arbitrary: piece }, fc.string()), { maxLength: 60 });
  const text = fc.oneof(
    yaml.map(pieces => pieces.join('')),
    fc.string({ unit: 'binary', maxLength: 300 }),
  );
  fc.assert(
    fc.property(text, given => {
      const file = readWorkflowFile(given);
      if (file.kind === 'invalid') expect(Math.min(file.line, file.column)).toBeGreaterThanOrEqual(1);
      else expect(file.kind).toBe('workflow');
    }),
    { numRuns: 3000 },
  );
});
