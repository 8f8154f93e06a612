/** How the description says that a later version of the API differs, at the place that differs. */
interface BreakingChange {
  readonly version: string;
  /** A JSON Merge Patch (RFC 7396), or the operations of a JSON Patch (RFC 6902). */
  readonly patch: Tree | readonly Operation[];
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

type Tree = { [key: string]: unknown };

const CHANGES = 'x-github-breaking-changes';

/**
 * GitHub's description as it is for a version of the API, `YYYY-MM-DD`. As published it is that of the oldest version,
 * with the changes of later ones beside what they change.
 */
export function ofVersion<T>(description: T, version: string): T {
  if (Array.isArray(description)) return description.map(item => ofVersion(item, version)) as T;
  if (!isTree(description)) return description;
  const { [CHANGES]: all = [], ...published } = description as Tree;
  const changes = (all as BreakingChange[]).filter(change => change.version <= version);
  const tree = changes.length > 0 ? structuredClone(published) : published;
  for (const { patch } of changes) {
    if (isTree(patch)) merge(tree, patch);
    else for (const operation of patch) apply(tree, operation);
  }
  return Object.fromEntries(
    Object.entries(tree).map(([key, value]) => [key, ofVersion(value, version)]),
  ) as T;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merge(target: Tree, patch: Tree): void {
  for (const [key, value] of Object.entries(patch)) {
    const inner = target[key];
    if (value === null) delete target[key];
    else if (isTree(value) && isTree(inner)) merge(inner, value);
    else target[key] = value;
  }
}

function apply(target: Tree, { op, path, value }: Operation): void {
  const keys = path.split('/').slice(1);
  const last = keys.pop()?.replaceAll('~1', '/').replaceAll('~0', '~') ?? '';
  const parent = keys.reduce<unknown>(
    (node, key) => (node as Tree)[key.replaceAll('~1', '/').replaceAll('~0', '~')],
    target,
  ) as Tree | unknown[];
  if (op === 'replace') (parent as Tree)[last] = value;
  else if (op !== 'remove') throw new Error(`The description has an operation "${op}"`);
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
}
