import type { Finding, FindingCode } from './finding.ts';
import { oneLine, quoted } from './quoted.ts';
import type { Fact, RegisteredWorkflows, WorkflowFiles } from './repository-facts.ts';
import type { RunTitle } from './run-title.ts';
import { nearestType } from './spelling.ts';
import { includesType, type Misspelling } from './workflow-file.ts';

const MAX_NAMED = 3;

/** What the rules decide on: the repository is there, and its workflow files were read. */
export interface Workflows extends WorkflowFiles {
  readonly name: string;
  readonly branch: string;
  readonly eventType: string;
  readonly registered: Fact<RegisteredWorkflows>;
  readonly actionsEnabled: boolean | undefined;
  /** The workflows that listen to the event type. */
  readonly listeners: readonly Listener[];
  /** The types that are named by the workflows, whichever event type they are. */
  readonly listenedTypes: readonly { readonly path: string; readonly type: string }[];
}

interface Listener {
  readonly path: string;
  readonly runTitle: RunTitle;
}

interface Rule {
  readonly code: FindingCode;
  /** undefined where it does not apply. */
  readonly message: (workflows: Workflows) => string | undefined;
}

/**
 * The first that applies is the finding. Before them comes what stops every workflow, and after them that none listens.
 * The first seven are about a workflow that listens, so none of the others explains anything then. Among the others, what
 * shows that someone meant this event type goes before what merely fits. What may be old comes late: a branch that someone
 * forgot, or a file that GitHub still lists.
 */
export const RULES: readonly Rule[] = [
  { code: 'permission_missing', message: statesForbidden },
  { code: 'actions_disabled', message: noActions },
  { code: 'unknown', message: statesUnknown },
  { code: 'workflow_disabled', message: workflowDisabled },
  { code: 'workflow_not_registered', message: notRegistered },
  { code: 'run_not_recognized', message: notRecognized },
  { code: 'not_started', message: notStarted },
  { code: 'types_misspelt', message: w => misspelt(w, 'types') },
  { code: 'trigger_misspelt', message: w => misspelt(w, 'repository_dispatch') },
  { code: 'workflow_invalid', message: invalid },
  { code: 'type_misspelt', message: typeMisspelt },
  { code: 'other_branch', message: otherBranch },
  { code: 'unknown', message: notAllRead },
  { code: 'no_workflows', message: noWorkflows },
];

function statesForbidden({ listeners, registered, name, eventType }: Workflows): string | undefined {
  const [first] = listeners;
  if (!first || registered.kind !== 'forbidden') return undefined;
  return `${quoted(first.path)} listens to ${type(eventType)}, but may be disabled. ${grant('Actions: read', name)}`;
}

// GitHub refuses with 403 what the App may not read. A 404 for the workflows of a repository that it may read is no documented
// answer: the likeliest is that Actions is off as a whole, as on a GitHub Enterprise Server that has none.
function noActions({ listeners, registered, name }: Workflows): string | undefined {
  return listeners.length > 0 && registered.kind === 'missing' ? actionsDisabled(name).message : undefined;
}

function statesUnknown({ listeners, registered, name, eventType }: Workflows): string | undefined {
  const [first] = listeners;
  if (!first || registered.kind !== 'unavailable') return undefined;
  return `${quoted(first.path)} listens to ${type(eventType)}. Whether it or Actions is disabled is not known: ${oneLine(registered.reason, 150)}. Look for that in the Actions tab of ${name}.`;
}

const DISABLED: Readonly<Record<string, string>> = {
  disabled_manually: 'someone has disabled it',
  disabled_inactivity: 'GitHub has disabled it because the repository had no activity',
  disabled_fork: 'GitHub disables the workflows of a fork until someone enables them',
};

function workflowDisabled({ listeners, registered, name, eventType }: Workflows): string | undefined {
  if (registered.kind !== 'read') return undefined;
  const states = listeners.map(({ path }) => ({ path, state: registered.value.states.get(path) }));
  const [first] = states;
  // Where another one is active, it should have started.
  if (!first || states.some(({ state }) => state === undefined || state === 'active')) return undefined;
  const why = DISABLED[first.state ?? ''] ?? `its state is ${quoted(first.state ?? '', 30)}`;
  return `${quoted(first.path)} listens to ${type(eventType)}, but ${why}. Enable it in the Actions tab of ${name}: select the workflow, then Enable workflow.`;
}

function notRegistered({ listeners, registered, name, branch, eventType }: Workflows): string | undefined {
  if (registered.kind !== 'read' || !registered.value.complete) return undefined;
  const { states } = registered.value;
  const path = listeners.map(listener => listener.path).find(each => !states.has(each));
  if (path === undefined || listeners.some(other => states.get(other.path) === 'active')) return undefined;
  return `${quoted(path)} on ${branch} listens to ${type(eventType)}, but GitHub does not list it as a workflow. Enable Actions for ${name} (Settings, Actions, General), then push a change to the file.`;
}

/** The listeners that GitHub starts, or may start where it did not list them all. */
function startable({ listeners, registered }: Workflows): readonly Listener[] {
  if (registered.kind !== 'read') return listeners;
  const { states, complete } = registered.value;
  return listeners.filter(({ path }) => (states.get(path) ?? (complete ? '' : 'active')) === 'active');
}

/** Where the run of another listener would have been recognized, that one did not start: then this explains nothing. */
function notRecognized(workflows: Workflows): string | undefined {
  const { name, branch, eventType } = workflows;
  const listeners = startable(workflows);
  const [first] = listeners;
  if (!first || listeners.some(({ runTitle }) => runTitle !== 'other')) return undefined;
  return `${quoted(first.path)} on ${branch} of ${name} listens to ${type(eventType)}, but its run-name does not contain the dispatch id, so its run cannot be told from others. Add \${{ github.event.client_payload.dispatch_id }} to run-name, or remove run-name.`;
}

// A fault within `jobs` shows on the workflow's page alone: only what concerns its events is read here.
function notStarted(workflows: Workflows): string | undefined {
  const { actionsEnabled, name, branch, eventType } = workflows;
  const listeners = startable(workflows);
  const first = listeners.find(({ runTitle }) => runTitle !== 'other') ?? listeners[0];
  if (!first) return undefined;
  const settings = actionsEnabled ? '' : ', check that Actions is enabled (Settings, Actions, General)';
  return `${quoted(first.path)} on ${branch} of ${name} listens to ${type(eventType)}, but GitHub started no run. Look for an error on its page in the Actions tab${settings}, and see https://www.githubstatus.com. Then press Retry under Runs on the board of flux-dispatch, or ask its operator to.`;
}

/** A key that is nearly the right one, where this event type would start the workflow if it were right. */
function misspelt({ files, name, eventType }: Workflows, meant: Misspelling['meant']): string | undefined {
  for (const { path, file } of files) {
    const found = file.kind === 'workflow' ? file.misspelt : undefined;
    if (found?.meant !== meant) continue;
    if (!includesType(found.types, eventType) && found.types.length > 0) continue;
    const where = meant === 'types' ? 'under repository_dispatch' : 'under "on"';
    return `${quoted(path)} in ${name} has ${quoted(found.written, 40)} ${where} (line ${found.line}), which GitHub does not know, so the workflow does not listen to ${type(eventType)}. Rename it to ${quoted(meant)}.`;
  }
  return undefined;
}

/** Only a file that may listen: another that is broken explains nothing. */
function invalid({ files, name, branch, eventType }: Workflows): string | undefined {
  for (const { path, file } of files) {
    if (file.kind !== 'invalid' || !file.mayListen) continue;
    return `GitHub cannot read ${quoted(path)} on ${branch} of ${name}, and no other workflow listens to ${type(eventType)}. Correct line ${file.line}, column ${file.column}: ${oneLine(file.message, 120)}.`;
  }
  return undefined;
}

function typeMisspelt({ listenedTypes, name, branch, eventType }: Workflows): string | undefined {
  const types = listenedTypes.map(listened => listened.type);
  const nearest = nearestType(eventType, types);
  const listener = listenedTypes.find(listened => listened.type === nearest);
  if (nearest === undefined || !listener) return undefined;
  const pattern = nearest.includes('*') ? ' GitHub takes no patterns there.' : '';
  const others = namedTypes(types.filter(other => other !== nearest));
  const also = others && ` Other types there: ${others}.`;
  return `No workflow on ${branch} of ${name} listens to ${type(eventType)}. Did you mean ${quoted(nearest, 40)}, to which ${quoted(listener.path)} listens?${pattern} Change types in the workflow, or dispatch_event in the Alert.${also}`;
}

function otherBranch({
  listenedTypes,
  registered,
  paths,
  name,
  branch,
  eventType,
}: Workflows): string | undefined {
  if (registered.kind !== 'read') return undefined;
  // GitHub also lists its own workflows, such as dynamic/pages/pages-build-deployment, and now and then deleted ones as active.
  const elsewhere = [...registered.value.states]
    .filter(([path, state]) => path.startsWith('.github/workflows/') && state !== 'deleted')
    .map(([path]) => path)
    .filter(path => !paths.includes(path));
  const path =
    elsewhere.find(other => other.includes(eventType)) ??
    (listenedTypes.length === 0 ? elsewhere[0] : undefined);
  if (path === undefined) return undefined;
  return `No workflow on ${branch} of ${name} listens to ${type(eventType)}. ${quoted(path)} is only on another branch, or was deleted. Merge it into the default branch: a repository_dispatch starts no workflow of another branch.`;
}

function notAllRead(workflows: Workflows): string | undefined {
  const { files, cut, name, eventType } = workflows;
  for (const { path, file } of files) {
    if (file.kind !== 'unread') continue;
    return `${quoted(path)} could not be read: ${oneLine(file.reason, 150)}. No other workflow of ${name} listens to ${type(eventType)}: check whether this one does.`;
  }
  if (!cut) return undefined;
  return `None of the first ${files.length} workflows of ${name} listens to ${type(eventType)}, and the others were not read. Check whether one of them does.`;
}

function noWorkflows({ paths, hasFolders, name, branch, eventType }: Workflows): string | undefined {
  if (paths.length > 0) return undefined;
  const folders = hasFolders ? ' GitHub does not look into folders there.' : '';
  return `There is no workflow file in .github/workflows on ${branch} of ${name}.${folders} Add one with "on: repository_dispatch" and types: [${oneLine(eventType, 100)}].`;
}

export function notListening({ listenedTypes, name, branch, eventType }: Workflows): string {
  const listened = namedTypes(listenedTypes.map(other => other.type));
  const others = listened && `, only to ${listened}`;
  return `No workflow on ${branch} of ${name} listens to ${type(eventType)}${others}. Add the type in a workflow, under "on: repository_dispatch: types", or change dispatch_event in the Alert.`;
}

/** The first few, and how many more there are. */
function namedTypes(types: readonly string[]): string {
  const different = [...new Set(types)];
  const named = different.slice(0, MAX_NAMED).map(other => quoted(other, 30));
  const more = different.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more`] : [])].join(', ').replace(/, ([^,]*)$/, ' and $1');
}

function type(eventType: string): string {
  return quoted(eventType, 100);
}

export function actionsDisabled(name: string): Finding {
  const message = `GitHub Actions is disabled for ${name} or for its organization, so no workflow runs. Enable it under Settings, Actions, General.`;
  return { code: 'actions_disabled', message };
}

/** What to do where the App lacks a permission, such as `Actions: read`. */
export function grant(permission: string, name: string): string {
  return `The GitHub App of flux-dispatch lacks the permission "${permission}" on ${name}, so the cause is not known. Grant it to the App, and accept it on the installation. Until then, look for the cause in the Actions tab there.`;
}
