import type { Receipt, ReceiptRun } from '@flux-dispatch/queue/receipt';
import { isLoopback } from './address.ts';

/** A link to a workflow run. */
export interface RunLink {
  readonly href: string;
  readonly text: string;
}

/**
 * The links to the runs of a receipt, in their order. What is no web address is left out: it came from outside, and a browser
 * would run a `javascript:` one.
 */
export function runLinks({ runs }: Pick<Receipt, 'runs'>): RunLink[] {
  return runs.flatMap(run => (isWebAddress(run.url) ? [{ href: run.url, text: runText(run) }] : []));
}

/** The one link that Bull Board shows on a receipt: to its run, or to the page of links where it has several. */
export function receiptLink(receipt: Receipt): RunLink | undefined {
  const [first, ...others] = runLinks(receipt);
  if (!first || others.length === 0) return first;
  return { href: `/runs/${encodeURIComponent(receipt.dispatch_id)}`, text: `${others.length + 1} runs` };
}

function runText({ workflow, conclusion, status, match }: ReceiptRun): string {
  const end = `${conclusion ?? status}${match === 'probable' ? ', probable' : ''}`;
  return workflow === '' ? end : `${workflow}: ${end}`;
}

/** `http:` leads to a stand-in for GitHub on the same machine, as in the demo. */
function isWebAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/[[\]]/g, '')));
}
