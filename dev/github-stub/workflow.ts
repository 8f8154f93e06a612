import { parse } from 'yaml';

/** What matters here of a workflow file. */
export interface Workflow {
  /** Such as `.github/workflows/deploy.yaml`. */
  readonly path: string;
  /** The path where the file gives no name, or is not valid. */
  readonly name: string;
  /** The event types of `repository_dispatch` that start it. None for a file that is not valid. */
  readonly types: 'all' | readonly string[];
  readonly runName: string | undefined;
}

/** Whether GitHub takes a file for a workflow by its path. */
export function isWorkflowPath(path: string): boolean {
  return /^\.github\/workflows\/[^/]+\.ya?ml$/.test(path);
}

/** Reads a workflow file. Only its name and what it listens to are looked at: the jobs may be anything. */
export function readWorkflow(path: string, text: string): Workflow {
  const invalid: Workflow = { path, name: path, types: [], runName: undefined };
  let file: unknown;
  try {
    file = parse(text, { logLevel: 'error' });
  } catch {
    return invalid;
  }
  const types = isMap(file) ? dispatchTypes(file['on']) : undefined;
  if (!isMap(file) || types === undefined) return invalid;
  const { name, 'run-name': runName } = file;
  return {
    path,
    name: typeof name === 'string' && name !== '' ? name : path,
    types,
    runName: typeof runName === 'string' ? runName : undefined,
  };
}

/** Undefined where the triggers are not valid. */
function dispatchTypes(on: unknown): Workflow['types'] | undefined {
  const event = 'repository_dispatch';
  if (typeof on === 'string') return on === event ? 'all' : [];
  if (Array.isArray(on)) return on.includes(event) ? 'all' : [];
  if (!isMap(on)) return undefined;
  if (!Object.hasOwn(on, event)) return [];
  const filter = on[event];
  if (filter === null) return 'all';
  // `types` is the only key there is: with `type` the file is not valid.
  if (!isMap(filter) || Object.keys(filter).some(key => key !== 'types')) return undefined;
  const { types = null } = filter;
  if (types === null) return 'all';
  const list = Array.isArray(types) ? types : [types];
  return list.some(type => typeof type === 'object') ? undefined : list.map(String);
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
