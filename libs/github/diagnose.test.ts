import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { diagnose } from './diagnose.ts';
import type { FindingCode } from './finding.ts';
import type { Fact, Repository, RepositoryFacts, Unread } from './repository-facts.ts';
import { readWorkflowFile, type WorkflowFile } from './workflow-file.ts';

const REPO = 'Altinn/dialogporten';
const JOBS = '\njobs: {}\n';
const LISTENS = 'on: { repository_dispatch: { types: [flux-deploy] } }';
const UNNAMED = `run-name: E2E\n${LISTENS}`;
const OTHER = 'on: { repository_dispatch: { types: [nightly] } }';
const FORBIDDEN = { kind: 'forbidden' } as const;
const DOWN = { kind: 'unavailable', reason: 'GitHub answered 502 (contents)' } as const;

interface Given {
  readonly repository?: Partial<Repository> | Unread;
  /** The texts of the workflow files by name. */
  readonly files?: Readonly<Record<string, string | WorkflowFile>> | Unread;
  readonly cut?: boolean;
  readonly hasFolders?: boolean;
  /** The states of workflows by name; unless given, each file is active. */
  readonly states?: Readonly<Record<string, string>> | Unread;
  readonly incomplete?: boolean;
  readonly actionsEnabled?: boolean;
}

const isUnread = (given: object): given is Unread => 'kind' in given && typeof given.kind === 'string';
const path = (name: string) => (name.includes('/') ? name : `.github/workflows/${name}`);

function facts(given: Given): RepositoryFacts {
  const { repository = {}, files = {}, cut = false, hasFolders = false, incomplete = false } = given;
  const names = isUnread(files) ? [] : Object.keys(files);
  const { states = Object.fromEntries(names.map(name => [name, 'active'])), actionsEnabled } = given;
  const read = <T>(value: T): Fact<T> => ({ kind: 'read', value });
  const ok = { fullName: REPO, defaultBranch: 'main', archived: false, disabled: false };
  return {
    actionsEnabled,
    repository: isUnread(repository) ? repository : read({ ...ok, ...repository }),
    files: isUnread(files)
      ? files
      : read({
          files: Object.entries(files).map(([name, file]) => ({
            path: path(name),
            file: typeof file === 'string' ? readWorkflowFile(file + JOBS) : file,
          })),
          ...{ paths: names.map(path), cut, hasFolders },
        }),
    registered: isUnread(states)
      ? states
      : read({
          states: new Map(Object.entries(states).map(([name, state]) => [path(name), state])),
          complete: !incomplete,
        }),
  };
}

const finding = (given: Given, eventType = 'flux-deploy') => diagnose(facts(given), REPO, eventType);

describe('the finding', () => {
  test.each<[name: string, given: Given, code: FindingCode, message: RegExp]>([
    // The repository.
    [
      'gone',
      { repository: { kind: 'missing', call: 'repository' } },
      'repository_missing',
      /deleted or renamed.*Correct dispatch_repo/,
    ],
    [
      'without the App',
      { repository: { kind: 'missing', call: 'installation' } },
      'repository_missing',
      /install the App on it/,
    ],
    [
      'of another owner',
      { repository: { kind: 'moved', owner: 'Digdir' } },
      'repository_moved',
      /belongs to Digdir.*ALLOWED_OWNERS/,
    ],
    [
      'suspended',
      { repository: { kind: 'suspended' } },
      'app_suspended',
      /is suspended on .*can unsuspend it/,
    ],
    ['unreadable', { repository: FORBIDDEN }, 'permission_missing', /"Metadata: read"/],
    ['down', { repository: DOWN }, 'unknown', /could not be determined: GitHub answered 502/],
    [
      'archived',
      { repository: { archived: true }, files: { 'a.yaml': LISTENS } },
      'repository_archived',
      /Unarchive/,
    ],
    ['disabled', { repository: { disabled: true } }, 'repository_disabled', /GitHub Support/],
    [
      'renamed',
      { repository: { fullName: 'Altinn/new' }, files: { 'a.yaml': LISTENS } },
      'not_started',
      /of Altinn\/new listens/,
    ],
    // Actions.
    [
      'Actions off',
      { files: { 'a.yaml': LISTENS }, actionsEnabled: false },
      'actions_disabled',
      /Settings, Actions, General/,
    ],
    [
      'Actions off by the listing',
      { files: { 'a.yaml': LISTENS }, states: { kind: 'disabled' } },
      'actions_disabled',
      /Enable it/,
    ],
    [
      'no Actions',
      { files: { 'a.yaml': LISTENS }, states: { kind: 'missing', call: 'workflows' } },
      'actions_disabled',
      /or for its organization, so no workflow runs/,
    ],
    [
      'no Actions, and none listens',
      { files: { 'a.yaml': OTHER }, states: { kind: 'missing', call: 'workflows' } },
      'not_listening',
      /"nightly"/,
    ],
    // A workflow listens.
    [
      'nothing wrong',
      { files: { 'a.yaml': LISTENS } },
      'not_started',
      /^".github\/workflows\/a.yaml" on the default branch "main" of Altinn\/dialogporten listens to "flux-deploy".*Actions tab, check that Actions is enabled.*githubstatus.com. Then press Retry under Runs on the board .*, or ask its operator to/,
    ],
    [
      'nothing wrong, and Actions is on',
      { files: { 'a.yaml': LISTENS }, actionsEnabled: true },
      'not_started',
      /Actions tab, and see https:.*githubstatus.com. Then press/,
    ],
    [
      'all types',
      { files: { 'a.yaml': 'on: repository_dispatch' } },
      'not_started',
      /listens to "flux-deploy"/,
    ],
    [
      'disabled by hand',
      { files: { 'a.yaml': LISTENS }, states: { 'a.yaml': 'disabled_manually' } },
      'workflow_disabled',
      /someone has disabled it.*Enable workflow/,
    ],
    [
      'disabled for inactivity',
      { files: { 'a.yaml': LISTENS }, states: { 'a.yaml': 'disabled_inactivity' } },
      'workflow_disabled',
      /had no activity/,
    ],
    [
      'disabled in a fork',
      { files: { 'a.yaml': LISTENS }, states: { 'a.yaml': 'disabled_fork' } },
      'workflow_disabled',
      /fork/,
    ],
    [
      'disabled in another way',
      { files: { 'a.yaml': LISTENS }, states: { 'a.yaml': 'disabled_oddly' } },
      'workflow_disabled',
      /its state is "disabled_oddly"/,
    ],
    [
      'two disabled',
      {
        files: { 'a.yaml': LISTENS, 'b.yaml': LISTENS },
        states: { 'a.yaml': 'disabled_manually', 'b.yaml': 'disabled_fork' },
      },
      'workflow_disabled',
      /a\.yaml/,
    ],
    [
      'one of two disabled',
      {
        files: { 'a.yaml': LISTENS, 'b.yaml': LISTENS },
        states: { 'a.yaml': 'disabled_manually', 'b.yaml': 'active' },
      },
      'not_started',
      /b\.yaml/,
    ],
    [
      'another one disabled',
      {
        files: { 'a.yaml': LISTENS, 'b.yaml': OTHER },
        states: { 'a.yaml': 'active', 'b.yaml': 'disabled_manually' },
      },
      'not_started',
      /listens/,
    ],
    [
      'not registered',
      { files: { 'a.yaml': LISTENS }, states: {} },
      'workflow_not_registered',
      /does not list it.*push a change/,
    ],
    [
      'perhaps not registered',
      { files: { 'a.yaml': LISTENS }, states: {}, incomplete: true },
      'not_started',
      /listens/,
    ],
    [
      'state forbidden',
      { files: { 'a.yaml': LISTENS }, states: FORBIDDEN },
      'permission_missing',
      /may be disabled.*"Actions: read"/,
    ],
    [
      'state not answered',
      { files: { 'a.yaml': LISTENS }, states: DOWN },
      'unknown',
      /Whether it or Actions is disabled is not known: GitHub answered 502/,
    ],
    [
      'beside a broken file',
      { files: { 'a.yaml': 'on: [repository_dispatch', 'b.yaml': LISTENS } },
      'not_started',
      /b\.yaml/,
    ],
    // Its run cannot be recognized.
    [
      'a run-name without the id',
      { files: { 'a.yaml': UNNAMED } },
      'run_not_recognized',
      /a\.yaml" on .* listens to "flux-deploy".*run-name does not contain the dispatch id.*Add \$\{\{ github\.event\.client_payload\.dispatch_id \}\} to run-name, or remove run-name\.$/,
    ],
    [
      'a run-name without the id, and Actions off',
      { files: { 'a.yaml': UNNAMED }, actionsEnabled: false },
      'actions_disabled',
      /Enable it/,
    ],
    [
      'a run-name without the id, disabled',
      { files: { 'a.yaml': UNNAMED }, states: { 'a.yaml': 'disabled_manually' } },
      'workflow_disabled',
      /someone has disabled it/,
    ],
    [
      'a run-name without the id, not registered',
      { files: { 'a.yaml': UNNAMED }, states: {} },
      'workflow_not_registered',
      /does not list it/,
    ],
    [
      'a run-name without the id, perhaps not registered',
      { files: { 'a.yaml': UNNAMED }, states: {}, incomplete: true },
      'run_not_recognized',
      /a\.yaml/,
    ],
    [
      'a run-name without the id, and one whose run would have been recognized',
      { files: { 'a.yaml': UNNAMED, 'b.yaml': LISTENS } },
      'not_started',
      /^"\.github\/workflows\/b\.yaml"/,
    ],
    [
      'a run-name without the id, and a disabled one',
      {
        files: { 'a.yaml': LISTENS, 'b.yaml': UNNAMED },
        states: { 'a.yaml': 'disabled_manually', 'b.yaml': 'active' },
      },
      'run_not_recognized',
      /b\.yaml/,
    ],
    [
      'a run-name without the id in a workflow that does not listen',
      { files: { 'a.yaml': `run-name: E2E\n${OTHER}` } },
      'not_listening',
      /nightly/,
    ],
    // Someone meant it to listen.
    [
      'type',
      { files: { 'a.yaml': 'on:\n  repository_dispatch:\n    type: [flux-deploy]' } },
      'types_misspelt',
      /a\.yaml" in Altinn\/dialogporten has "type" under repository_dispatch \(line 3\).*listen to "flux-deploy"\. Rename it to "types"/,
    ],
    [
      'type without a name',
      { files: { 'a.yaml': 'on:\n  repository_dispatch:\n    type:' } },
      'types_misspelt',
      /"type"/,
    ],
    [
      'type of another event',
      { files: { 'a.yaml': 'on:\n  repository_dispatch:\n    type: nightly' } },
      'not_listening',
      /Add the type/,
    ],
    [
      'type before a broken file',
      {
        files: {
          'a.yaml': 'on: [repository_dispatch',
          'b.yaml': 'on: { repository_dispatch: { type: [flux-deploy] } }',
        },
      },
      'types_misspelt',
      /b\.yaml/,
    ],
    [
      'repository-dispatch',
      { files: { 'a.yaml': 'on: repository-dispatch' } },
      'trigger_misspelt',
      /"repository-dispatch" under "on" \(line 1\).*Rename it to "repository_dispatch"/,
    ],
    [
      'broken YAML',
      { files: { 'a.yaml': 'on:\n  repository_dispatch:\n\ttypes: [flux-deploy]' } },
      'workflow_invalid',
      /cannot read ".*a\.yaml".*listens to "flux-deploy"\. Correct line 3, column 1/,
    ],
    ['broken YAML of another event', { files: { 'a.yaml': 'on: [push' } }, 'not_listening', /Add the type/],
    [
      'a merge key',
      { files: { 'a.yaml': 'x: &x {}\non:\n  repository_dispatch:\n    <<: *x' } },
      'workflow_invalid',
      /line 4, column 5.*merge keys/,
    ],
    // The names do not fit.
    [
      'a slip',
      { files: { 'a.yaml': 'on: { repository_dispatch: { types: [flux-deply] } }' } },
      'type_misspelt',
      /Did you mean "flux-deply", to which ".*a\.yaml" listens\? Change types .* dispatch_event in the Alert\.$/,
    ],
    [
      'another case',
      { files: { 'a.yaml': 'on: { repository_dispatch: { types: [Flux_Deploy, nightly] } }' } },
      'type_misspelt',
      /"Flux_Deploy".*Other types there: "nightly"\.$/,
    ],
    [
      'a pattern',
      { files: { 'a.yaml': 'on: { repository_dispatch: { types: [flux-*] } }' } },
      'type_misspelt',
      /takes no patterns/,
    ],
    [
      'a slip before another branch',
      {
        files: { 'a.yaml': 'on: { repository_dispatch: { types: [flux-deply] } }' },
        states: { 'b.yaml': 'active' },
      },
      'type_misspelt',
      /flux-deply/,
    ],
    [
      'other types',
      { files: { 'a.yaml': 'on: { repository_dispatch: { types: [a, b, c, d, a] } }' } },
      'not_listening',
      /only to "a", "b", "c" and 1 more/,
    ],
    [
      'no type',
      { files: { 'a.yaml': 'on: { repository_dispatch: { types: [] } }' } },
      'not_listening',
      /listens to "flux-deploy"\. Add/,
    ],
    [
      'no dispatch',
      { files: { 'a.yaml': 'on: push' } },
      'not_listening',
      /Add the type in a workflow, under "on: repository_dispatch: types"/,
    ],
    ['a reusable workflow', { files: { 'a.yaml': 'on: workflow_call' } }, 'not_listening', /No workflow/],
    // Elsewhere.
    [
      'another branch',
      { files: { 'ci.yaml': 'on: push' }, states: { 'ci.yaml': 'active', 'deploy.yaml': 'active' } },
      'other_branch',
      /deploy\.yaml" is only on another branch.*Merge it/,
    ],
    [
      'another branch alone',
      { files: { kind: 'missing', call: 'contents' }, states: { 'deploy.yaml': 'active' } },
      'other_branch',
      /deploy\.yaml/,
    ],
    [
      'another branch, by its name',
      {
        files: { 'a.yaml': OTHER },
        states: { 'a.yaml': 'active', 'old.yaml': 'active', 'flux-deploy.yaml': 'active' },
      },
      'other_branch',
      /flux-deploy\.yaml/,
    ],
    [
      'an old file that GitHub still lists',
      { files: { 'a.yaml': OTHER }, states: { 'a.yaml': 'active', 'old.yaml': 'active' } },
      'not_listening',
      /nightly/,
    ],
    [
      'a deleted workflow',
      { files: { 'a.yaml': 'on: push' }, states: { 'a.yaml': 'active', 'deploy.yaml': 'deleted' } },
      'not_listening',
      /No workflow/,
    ],
    [
      "a workflow of GitHub's own",
      { files: { 'a.yaml': 'on: push' }, states: { 'dynamic/pages/pages-build-deployment': 'active' } },
      'not_listening',
      /No workflow/,
    ],
    // Not seen whole.
    ['files forbidden', { files: FORBIDDEN }, 'permission_missing', /"Contents: read"/],
    ['files not answered', { files: DOWN }, 'unknown', /in the Actions tab of/],
    [
      'one not read',
      { files: { 'a.yaml': 'on: push', 'b.yaml': { kind: 'unread', reason: 'it is over 1 MiB' } } },
      'unknown',
      /b\.yaml" could not be read: it is over 1 MiB/,
    ],
    [
      'one not read, another listens',
      { files: { 'a.yaml': { kind: 'unread', reason: 'x' }, 'b.yaml': LISTENS } },
      'not_started',
      /b\.yaml/,
    ],
    ['too many', { files: { 'a.yaml': 'on: push' }, cut: true }, 'unknown', /first 1 workflows/],
    [
      'none',
      { files: { kind: 'missing', call: 'contents' }, states: {} },
      'no_workflows',
      /no workflow file in .github\/workflows on the default branch "main".*types: \[flux-deploy\]/,
    ],
    ['an empty folder', {}, 'no_workflows', /no workflow file/],
    ['a folder in it', { hasFolders: true }, 'no_workflows', /does not look into folders/],
  ])('%s', (_, given, code, message) => {
    const found = finding(given);
    expect(found).toEqual({ code, message: expect.stringMatching(message) });
    expect(found.message.length).toBeLessThan(400);
  });
});

test('whatever others chose, the message is one line of limited length', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 400 }),
    fc.constantFrom(
      'a\nb',
      '"'.repeat(300),
      '\\'.repeat(300),
      '\u202Eevil',
      '\u2028',
      '💥'.repeat(200),
      'x'.repeat(5000),
    ),
  );
  const types = fc.array(text, { maxLength: 6 });
  const runTitle = fc.constantFrom('event_type', 'dispatch_id', 'other');
  const misspelling = fc.record({
    written: text,
    meant: fc.constantFrom('types', 'repository_dispatch'),
    line: fc.nat(),
    types,
  });
  const file: fc.Arbitrary<WorkflowFile> = fc.oneof(
    fc.record({
      kind: fc.constant('workflow'),
      dispatchTypes: fc.option(types, { nil: undefined }),
      runTitle,
    }),
    fc.record({
      ...{ kind: fc.constant('workflow'), runTitle },
      dispatchTypes: fc.constant(undefined),
      misspelt: misspelling,
    }),
    fc.record({
      kind: fc.constant('invalid'),
      line: fc.nat(),
      column: fc.nat(),
      message: text,
      mayListen: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('unread'), reason: text }),
  );
  const unread: fc.Arbitrary<Unread> = fc.oneof(
    fc.record({ kind: fc.constant('unavailable'), reason: text }),
    fc.record({ kind: fc.constant('moved'), owner: text }),
    fc.constantFrom<Unread>(
      { kind: 'missing', call: 'contents' },
      FORBIDDEN,
      { kind: 'suspended' },
      { kind: 'disabled' },
      { kind: 'not_asked' },
    ),
  );
  const state = fc.oneof(fc.constantFrom('active', 'disabled_manually'), text);
  const given = fc.record({
    repository: fc.oneof(
      { weight: 5, arbitrary: fc.record({ fullName: text, defaultBranch: text }) },
      unread,
    ),
    files: fc.oneof({ weight: 5, arbitrary: fc.dictionary(text, file, { maxKeys: 4 }) }, unread),
    states: fc.oneof({ weight: 5, arbitrary: fc.dictionary(text, state, { maxKeys: 4 }) }, unread),
    ...{ cut: fc.boolean(), hasFolders: fc.boolean(), incomplete: fc.boolean() },
  });
  const eventType = fc.oneof(text, fc.constant('flux-deploy'));
  fc.assert(
    fc.property(given, text, eventType, (facet, repo, type) => {
      const { message } = diagnose(facts(facet), repo, type);
      expect(message.length).toBeGreaterThan(20);
      expect(message.length).toBeLessThanOrEqual(480);
      expect(message).not.toMatch(/[\p{C}\u2028\u2029]/u);
    }),
    { numRuns: 2000 },
  );
});
