import { DEFAULT_FILES, type ParsedActionsSettings, type RepositorySettings } from './actions-settings.ts';
import { isName, repositoryId } from './repository-name.ts';
import { type ResolvedPlan, type RunPlan, resolvePlan } from './run-plan.ts';
import { isWorkflowPath, readWorkflow, type Workflow } from './workflow.ts';

/** Path to text. */
export type Files = ReadonlyMap<string, string>;

/** A workflow that GitHub knows of a repository. */
export interface RegisteredWorkflow extends Workflow {
  readonly state: 'active' | 'deleted' | 'disabled_fork' | 'disabled_inactivity' | 'disabled_manually';
  /** The branch whose file it is. */
  readonly branch: string;
  readonly plan: ResolvedPlan;
}

/** All of a repository but its name. */
interface Content {
  readonly archived: boolean;
  readonly actionsDisabled: boolean;
  readonly defaultBranch: string;
  readonly branches: ReadonlyMap<string, Files>;
  readonly workflows: readonly RegisteredWorkflow[];
}

export interface Repository extends Content {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
}

/** Every repository exists whose name GitHub would allow, unless it was declared absent. */
export class Repositories {
  #absent: ReadonlySet<string> = new Set();
  #content: ReadonlyMap<string, Content> = new Map();
  #others: Content = createContent({}, undefined);

  /** Replaces what was absent before. */
  setAbsent(names: readonly string[]): void {
    this.#absent = new Set(names.map(name => name.toLowerCase()));
  }

  /** Replaces what was configured before. */
  configure({ runs, repositories }: Pick<ParsedActionsSettings, 'runs' | 'repositories'>): void {
    this.#others = createContent({}, runs);
    this.#content = new Map(
      Object.entries(repositories).map(([name, settings]) => [name, createContent(settings, runs)]),
    );
  }

  /** The repository, with its name spelled as in the request. */
  find(owner: string, name: string): Repository | undefined {
    const fullName = `${owner}/${name}`.toLowerCase();
    if (!isName(owner) || !isName(name) || this.#absent.has(fullName)) return undefined;
    return { id: repositoryId(fullName), owner, name, ...(this.#content.get(fullName) ?? this.#others) };
  }
}

function createContent(settings: RepositorySettings, runs: RunPlan | undefined): Content {
  const { archived = false, actionsDisabled = false, defaultBranch = 'main' } = settings;
  const branches = new Map(
    Object.entries({ ...settings.otherBranches, [defaultBranch]: settings.files ?? DEFAULT_FILES }).map(
      ([branch, files]) => [branch, new Map(Object.entries(files))],
    ),
  );
  const workflows = registeredWorkflows(branches, defaultBranch, settings, runs);
  return { archived, actionsDisabled, defaultBranch, branches, workflows };
}

/** As at GitHub, also those that are only on another branch, and those whose file is gone. */
function registeredWorkflows(
  branches: ReadonlyMap<string, Files>,
  defaultBranch: string,
  { disabled = {}, runs: ofRepository, runsByWorkflow = {} }: RepositorySettings,
  runs: RunPlan | undefined,
): RegisteredWorkflow[] {
  const states = new Map(
    Array.isArray(disabled)
      ? disabled.map(path => [path, 'disabled_manually' as const])
      : Object.entries(disabled),
  );
  const workflows = new Map<string, RegisteredWorkflow>();
  const register = (branch: string, path: string, text: string) => {
    if (workflows.has(path) || !isWorkflowPath(path)) return;
    const state = states.get(path) ?? 'active';
    const plan = resolvePlan(runs, ofRepository, runsByWorkflow[path]);
    workflows.set(path, { ...readWorkflow(path, text), state, branch, plan });
  };
  for (const branch of [defaultBranch, ...branches.keys()]) {
    for (const [path, text] of branches.get(branch) ?? []) register(branch, path, text);
  }
  for (const path of states.keys()) register(defaultBranch, path, '');
  return [...workflows.values()];
}
