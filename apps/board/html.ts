import { SCRIPT, STYLES } from './assets.ts';
import type { Found } from './find.ts';
import type { RunLink } from './run-links.ts';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => ESCAPES[character] ?? character);
}

/** Where an operator enters the id of a dispatch. */
function findForm(id = ''): string {
  return `<form id="find" action="/find" role="search">
<input type="search" name="id" value="${escapeHtml(id)}" aria-label="Find a dispatch by its id" placeholder="Find a dispatch by its id" required maxlength="200" autocomplete="off" spellcheck="false" />
<button type="submit">Find</button>
</form>`;
}

const STYLESHEET = `<link rel="stylesheet" href="${STYLES.path}" />`;

/** Adds to a page of Bull Board the board's own styles and script, and where to find a dispatch. */
export function withAdditions(page: string): string {
  return page
    .replace('</head>', `${STYLESHEET}<script defer src="${SCRIPT.path}"></script></head>`)
    .replace('</body>', `${findForm()}</body>`);
}

/** A page of the board's own. @param body HTML */
function ownPage(title: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="robots" content="noindex" />
<title>${escapeHtml(title)} - flux-dispatch</title>
${STYLESHEET}
</head>
<body class="own-page">
<p><a href="/">flux-dispatch</a></p>
<h1>${escapeHtml(title)}</h1>
${body}
</body>
</html>
`;
}

/** Where to enter the id of a dispatch, on a page of its own. */
export function findPage(): string {
  const where = `<p>The id is the <code>dispatch_id</code> in the answer of ingest, in each line of the log and in the workflow's
<code>client_payload</code>. The id of a dead letter finds the dead letter.</p>`;
  return ownPage('Find a dispatch', findForm() + where);
}

/** Says that a dispatch is nowhere, and where to look instead. */
export function notFoundPage(id: string, found: Exclude<Found, { kind: 'found' }>): string {
  const older =
    found.kind === 'not_among_newest'
      ? `<p>Only the newest ${found.lookedAt} dead letters were searched, and there are more.</p>`
      : '';
  return ownPage(
    'No dispatch has this id',
    `<p>No dispatch on its way, no dead letter and no receipt has the id <code>${escapeHtml(id)}</code>.</p>
${findForm(id)}
${older}<ul>
<li>Check that the id is complete: it is the <code>dispatch_id</code> in the answer of ingest, 36 characters long.</li>
<li>It may have been removed: dead letters are kept for DEAD_LETTER_RETENTION (14 days by default), receipts for RUN_RETENTION
(7 days by default), and without receipts only the newest 1,000 deliveries.</li>
<li>A failure whose object recovered before it was sent is not sent, nor is a recovery if no failure of its outage was delivered.
They leave only a line in the log of the dispatcher.</li>
<li>Search the logs of ingest and the dispatcher for the id: each event and each attempt has a line.</li>
</ul>`,
  );
}

/** Links to the workflow runs of a dispatch. */
export function runsPage(name: string, links: readonly RunLink[], receiptUrl: string): string {
  const items = links.map(
    ({ href, text }) =>
      `<li><a href="${escapeHtml(href)}" target="_blank" rel="noopener noreferrer">${escapeHtml(text)}</a></li>`,
  );
  const list =
    items.length > 0 ? `<ul>\n${items.join('\n')}\n</ul>` : '<p>No run of this dispatch has been seen.</p>';
  return ownPage(
    `Runs of ${name}`,
    `${list}\n<p><a href="${escapeHtml(receiptUrl)}">The receipt with its details</a></p>`,
  );
}
