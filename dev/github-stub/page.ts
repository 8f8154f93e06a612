import { createHash } from 'node:crypto';
import type { ReceivedDispatch } from './dispatch.ts';
import type { CreatedRun } from './runs.ts';

/** More would make the page slow, and nobody reads on. */
const SHOWN = 200;

const COLUMNS = [
  'time',
  'repository',
  'event type',
  'product',
  'environment',
  'reason',
  'dispatch id',
  'runs',
];

/**
 * The page that lists the newest dispatches with their workflow runs, as HTML that needs no other file. `received` is
 * how many dispatches there were in all. To be served with {@link PAGE_POLICY}.
 */
export function renderPage(
  dispatches: readonly ReceivedDispatch[],
  runs: readonly CreatedRun[],
  received: number,
): string {
  const shown = dispatches.slice(-SHOWN).reverse();
  const runsOf = Map.groupBy(runs, run => run.dispatch);
  const count =
    shown.length < received ? html`${received}, the newest ${shown.length} shown` : html`${received}`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${received} dispatches · GitHub stand-in</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Dispatches received <small>${count}</small></h1>
${shown.length === 0 ? html`<p>None yet. They appear here by themselves.</p>` : html`<div class="row head">${COLUMNS.map(name => html`<span>${name}</span>`)}</div>`}
${shown.map(dispatch => row(dispatch, runsOf.get(dispatch.id) ?? []))}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`.text;
}

function row(dispatch: ReceivedDispatch, runs: readonly CreatedRun[]): Html {
  const { id, receivedAt, owner, repo, event_type, client_payload } = dispatch;
  const cells = [
    receivedAt.slice(11, 23),
    `${owner}/${repo}`,
    event_type,
    ...['product', 'environment', 'reason', 'dispatch_id'].map(name => cell(client_payload[name])),
    runs.map(({ workflow, status, conclusion }) => `${workflow}: ${conclusion ?? status}`).join(', ') ||
      'none',
  ];
  const details = runs.map(
    run => html`run ${run.id} ${run.display_title}: ${run.conclusion ?? run.status}
`,
  );
  return html`<details id="d${id}"><summary class="row">${cells.map(text => html`<span>${text}</span>`)}</summary><pre>${receivedAt}
${details}${JSON.stringify(client_payload, null, 2)}</pre></details>
`;
}

function cell(value: unknown): string {
  return value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
}

/** Text that is HTML already. */
class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Builds HTML; whatever is put in is escaped, unless it was built by this as well. */
function html(literals: TemplateStringsArray, ...values: (string | number | Html | readonly Html[])[]): Html {
  const insert = (value: (typeof values)[number]): string => {
    if (value instanceof Html) return value.text;
    if (typeof value === 'object') return value.map(part => part.text).join('');
    return String(value).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);
  };
  return new Html(String.raw({ raw: literals }, ...values.map(insert)));
}

const STYLE = new Html(`
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif }
body { margin: 1.5rem }
h1 { font-size: 1.2rem }
small, .head { opacity: .65; font-weight: normal }
.row { display: grid; grid-template-columns: 7em 2fr 1fr 1fr 1fr 1.6fr 2fr 1.6fr; gap: 1em; padding: .4em .5em }
.row span { overflow-wrap: anywhere }
details { border-top: 1px solid #8884 }
summary { cursor: pointer }
summary:hover, details[open] > summary { background: #8882 }
pre { margin: 0; padding: .5em 1em 1em; white-space: pre-wrap; overflow-wrap: anywhere }
`);

// Exchanges the list under the reader's eyes instead of reloading, so that what is expanded stays so.
const SCRIPT = new Html(`
setInterval(async () => {
  const answer = await fetch(location.href).then(response => response.text()).catch(() => undefined);
  if (answer === undefined) return;
  const fresh = new DOMParser().parseFromString(answer, 'text/html');
  for (const { id } of document.querySelectorAll('details[open]')) {
    fresh.getElementById(id)?.setAttribute('open', '');
  }
  document.title = fresh.title;
  document.querySelector('main').replaceWith(fresh.querySelector('main'));
}, 2000);
`);

/** The Content-Security-Policy: were a payload ever to slip through as HTML, nothing of it would load or run. */
export const PAGE_POLICY = [
  "default-src 'none'",
  "connect-src 'self'",
  'img-src data:',
  `style-src ${digest(STYLE)}`,
  `script-src ${digest(SCRIPT)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

function digest({ text }: Html): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
