/** What the title of a workflow's runs says of the dispatch that started each of them. */
export type RunTitle =
  /** Its event type: the workflow has no `run-name`, or one that gives the same. */
  | 'event_type'
  /** Its id. */
  | 'dispatch_id'
  /** Neither, so its run cannot be told from others. */
  | 'other';

// What takes long with a text that nobody writes: many expressions that are not closed.
const MAX_RUN_NAME = 10_000;

const EXPRESSION = /\$\{\{((?:'[^']*'|[^'])*?)\}\}/gs;
const DISPATCH_ID = /(?<![\w.-])github\.event\.client_payload\.(?:dispatch_id(?![\w.-])|\*)/;
const WHOLE_EVENT = /(?<![\w.-])tojson\(github(?:\.event(?:\.client_payload)?)?\)/;
// In `github.event`, `action` is the event type of a repository_dispatch.
const EVENT_TYPE = /^github\.event\.action(?:$|\|\|)/;

/**
 * Reads what the title of a workflow's runs says. Pure. An expression that mentions the dispatch id counts as if it always gave
 * it: what else it depends on is not looked at.
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#run-name
 */
export function readRunTitle(runName: string): RunTitle {
  const text = runName.slice(0, MAX_RUN_NAME).trim();
  if (text === '') return 'event_type';
  const expressions = [...text.matchAll(EXPRESSION)].map(([, inner = '']) => normalized(inner));
  if (expressions.some(each => DISPATCH_ID.test(each) || WHOLE_EVENT.test(each))) return 'dispatch_id';
  const isOneExpression = expressions.length === 1 && text.replace(EXPRESSION, '') === '';
  return isOneExpression && EVENT_TYPE.test(expressions[0] ?? '') ? 'event_type' : 'other';
}

/** Names ignore case, spaces may stand anywhere between them, and `a['b']` is `a.b`. Other texts in quotes become empty. */
function normalized(expression: string): string {
  return expression
    .replace(/\[\s*'([^']*)'\s*\]/g, '.$1')
    .replace(/'[^']*'/g, "''")
    .replace(/\s+/g, '')
    .replaceAll('[*]', '.*')
    .toLowerCase();
}
