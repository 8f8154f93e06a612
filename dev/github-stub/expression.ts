/** What the expressions of a workflow may look at, such as `{ github: { event: … } }`. */
export type Contexts = Readonly<Record<string, unknown>>;

const LITERAL = /'((?:[^']|'')*)'/y;
const PATH = /[A-Za-z_][\w-]*(?:\.[\w-]+|\['[^']*'\])*/y;
const OR = /\s*\|\|\s*/y;

/**
 * Replaces each `${{ … }}` in the text by its value, as GitHub does. It understands what
 * the title of a run needs: paths into the contexts, texts in single quotes, and `||` between them. Any other expression
 * is empty, and so is a path that leads nowhere.
 */
export function evaluate(text: string, contexts: Contexts): string {
  return text.replace(/\$\{\{((?:'[^']*'|[^'])*?)\}\}/gs, (_, expression: string) =>
    display(compute(expression.trim(), contexts)),
  );
}

function compute(expression: string, contexts: Contexts): unknown {
  let value: unknown;
  for (let at = 0; ; ) {
    const literal = matchAt(LITERAL, expression, at);
    const operand = literal ?? matchAt(PATH, expression, at);
    if (!operand) return undefined;
    // Of several operands the first that is not empty counts.
    if (!value) {
      value = literal ? literal[1]?.replaceAll("''", "'") : lookUp(operand[0], contexts);
    }
    at += operand[0].length;
    if (at === expression.length) return value;
    const or = matchAt(OR, expression, at);
    if (!or) return undefined;
    at += or[0].length;
  }
}

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text) ?? undefined;
}

function lookUp(path: string, contexts: Contexts): unknown {
  const keys = path.replace(/\['([^']*)'\]/g, '.$1').split('.');
  return keys.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Contexts)[key]
        : undefined,
    contexts,
  );
}

function display(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value)) return 'Array';
  return typeof value === 'object' ? 'Object' : String(value);
}
