import type { ResponseHeaders } from './api-result.ts';

/**
 * What came in the place of GitHub's answer to a call: a 2xx without what GitHub sends with it. Something in between
 * sent it, such as a proxy that asks for a sign-in. Taken for GitHub's, it would become a token or an installation.
 */
export class ForeignAnswer extends Error {
  override readonly name = 'ForeignAnswer';
  readonly response: { readonly status: number; readonly headers: ResponseHeaders };

  constructor(status: number, headers: ResponseHeaders) {
    super(`The answer ${status} is not GitHub's`);
    this.response = { status, headers };
  }
}

/**
 * Whether GitHub would answer a call with this 2xx. Pure.
 * @param path of the call, without its query
 * @param data the answer's body, parsed; undefined where it is no JSON
 */
export function isGitHubs(path: string, data: unknown): boolean {
  // Its status says it all, and `classify` reads that.
  if (path.endsWith('/dispatches')) return true;
  if (typeof data !== 'object' || data === null) return false;
  // A folder is a list of its entries.
  if (Array.isArray(data)) return path.includes('/contents/');
  const { id, token, workflow_runs, workflows, enabled, type, default_branch } = data as Record<
    string,
    unknown
  >;
  if (/\/repos\/[^/]+\/[^/]+$/.test(path)) return typeof default_branch === 'string';
  if (path.endsWith('/actions/runs')) return Array.isArray(workflow_runs);
  if (path.endsWith('/actions/workflows')) return Array.isArray(workflows);
  if (path.endsWith('/actions/permissions')) return typeof enabled === 'boolean';
  if (path.includes('/contents/')) return typeof type === 'string';
  if (path.endsWith('/access_tokens')) return typeof token === 'string' && token !== '';
  if (path.endsWith('/installation')) return Number.isSafeInteger(id) && Number(id) > 0;
  return true;
}
