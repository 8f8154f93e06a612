import type { App } from './app.ts';
import { type Asker, createAsker, NOT_ASKED, type Stop } from './ask.ts';
import type {
  Fact,
  RegisteredWorkflows,
  Repository,
  RepositoryFacts,
  WorkflowFiles,
} from './repository-facts.ts';
import { listensTo, readWorkflowFile, type WorkflowFile } from './workflow-file.ts';

export type Reading = Stop | { readonly kind: 'facts'; readonly facts: RepositoryFacts };

const FOLDER = '.github/workflows';
const MAX_FILES = 100;
// GitHub's contents endpoint gives no content of larger ones.
const MAX_FILE_BYTES = 1024 * 1024;

/**
 * Reads from GitHub what decides whether a dispatch starts a workflow: 3 calls, one for each workflow file up to 100, and one
 * more where an active workflow listens. One call after the other; an expected failure is a fact.
 * @param repo `owner/name`
 * @param eventType the reading ends at the first active workflow that listens to it and whose run would have been recognized, as
 *   no other fact would explain more
 * @param mayCall asked before each call. Where it says no, the reading is `held`, and what it rejects with is passed on
 * @throws where `repo` is not `owner/name`
 */
export async function readRepository(
  app: App,
  repo: string,
  eventType: string,
  mayCall: () => Promise<boolean>,
): Promise<Reading> {
  const asker = createAsker(app, repo, mayCall);
  const facts = await readFacts(asker, eventType);
  return asker.stopped() ?? { kind: 'facts', facts };
}

async function readFacts(asker: Asker, eventType: string): Promise<RepositoryFacts> {
  const repository = await asker.ask('repository', '', {}, repositoryOf);
  const enough = { files: NOT_ASKED, registered: NOT_ASKED, actionsEnabled: undefined };
  if (repository.kind !== 'read' || repository.value.archived || repository.value.disabled) {
    return { repository, ...enough };
  }
  const registered = await asker.ask('workflows', '/actions/workflows', { per_page: 100 }, registeredOf);
  const starts = (path: string, file: WorkflowFile) =>
    listensTo(file, eventType) &&
    registered.kind === 'read' &&
    registered.value.states.get(path) === 'active';
  const isEnough = (path: string, file: WorkflowFile) =>
    starts(path, file) && file.kind === 'workflow' && file.runTitle !== 'other';
  const files = await readFiles(asker, repository.value.defaultBranch, isEnough);
  const isExplained =
    files.kind !== 'read' || !files.value.files.some(({ path, file }) => starts(path, file));
  if (isExplained) return { ...enough, repository, registered, files };
  // It takes the permission "Administration: read", which few Apps have. Most are answered 403 and know as much as before.
  const enabled = await asker.ask('permissions', '/actions/permissions', {}, enabledOf);
  return {
    ...{ repository, registered, files },
    actionsEnabled: enabled.kind === 'read' ? enabled.value : enabled.kind === 'disabled' ? false : undefined,
  };
}

/** Reads the workflow files of a branch until one `isEnough`. */
async function readFiles(
  asker: Asker,
  ref: string,
  isEnough: (path: string, file: WorkflowFile) => boolean,
): Promise<Fact<WorkflowFiles>> {
  const listed = await asker.ask('contents', `/contents/${FOLDER}`, { ref }, entriesOf);
  if (listed.kind !== 'read') return listed;
  const entries = listed.value.filter(({ name, type }) => type !== 'dir' && /\.ya?ml$/i.test(name));
  const files: { path: string; file: WorkflowFile }[] = [];
  for (const entry of entries.slice(0, MAX_FILES)) {
    const file = await readFile(asker, ref, entry);
    if (asker.stopped()) break;
    if (!file) continue;
    const path = `${FOLDER}/${entry.name}`;
    files.push({ path, file });
    if (isEnough(path, file)) break;
  }
  const value = {
    files,
    paths: entries.map(({ name }) => `${FOLDER}/${name}`),
    cut: entries.length > MAX_FILES,
    hasFolders: listed.value.some(({ type }) => type === 'dir'),
  };
  return { kind: 'read', value };
}

/** undefined where the file was deleted since the folder was listed. */
async function readFile(asker: Asker, ref: string, entry: Entry): Promise<WorkflowFile | undefined> {
  if (entry.size > MAX_FILE_BYTES) return { kind: 'unread', reason: 'it is over 1 MiB' };
  // As a parameter of its own, so that no name leads to another path.
  const parameters = { name: entry.name, ref };
  const text = await asker.ask('contents', `/contents/${FOLDER}/{name}`, parameters, textOf);
  if (text.kind === 'read') return readWorkflowFile(text.value);
  if (text.kind === 'missing') return undefined;
  const reason = text.kind === 'unavailable' ? text.reason : 'GitHub does not show it to the App';
  return { kind: 'unread', reason };
}

// What follows reads answers of GitHub. A field of another type than GitHub documents makes it no answer of GitHub's.

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(data: unknown): Fields {
  return typeof data === 'object' && data !== null ? (data as Fields) : {};
}

/** https://docs.github.com/en/rest/repos/repos#get-a-repository */
function repositoryOf(data: unknown): Repository | undefined {
  const { full_name, default_branch, archived, disabled } = fieldsOf(data);
  if (typeof full_name !== 'string' || typeof default_branch !== 'string') return undefined;
  return {
    ...{ fullName: full_name, defaultBranch: default_branch },
    ...{ archived: archived === true, disabled: disabled === true },
  };
}

/** https://docs.github.com/en/rest/actions/workflows#list-repository-workflows */
function registeredOf(data: unknown): RegisteredWorkflows | undefined {
  const { workflows, total_count } = fieldsOf(data);
  if (!Array.isArray(workflows)) return undefined;
  const states = workflows.map(fieldsOf).map(({ path, state }) => [String(path), String(state)] as const);
  return { states: new Map(states), complete: !(Number(total_count) > workflows.length) };
}

/** https://docs.github.com/en/rest/actions/permissions#get-github-actions-permissions-for-a-repository */
function enabledOf(data: unknown): boolean | undefined {
  const { enabled } = fieldsOf(data);
  return typeof enabled === 'boolean' ? enabled : undefined;
}

interface Entry {
  readonly name: string;
  /** `file`, `dir`, `symlink` or `submodule`. */
  readonly type: string;
  /** In bytes. */
  readonly size: number;
}

/** https://docs.github.com/en/rest/repos/contents#get-repository-content, of a folder. One that is a file has no entries. */
function entriesOf(data: unknown): Entry[] | undefined {
  if (!Array.isArray(data)) return data === undefined ? undefined : [];
  return data
    .map(fieldsOf)
    .map(({ name, type, size }) => ({ name: String(name), type: String(type), size: Number(size) || 0 }));
}

/** The same, of a file. */
function textOf(data: unknown): string | undefined {
  const { content, encoding } = fieldsOf(data);
  if (typeof content !== 'string') return undefined;
  return encoding === 'base64' ? Buffer.from(content, 'base64').toString() : undefined;
}
