import { ForeignAnswer, isGitHubs } from './answer.ts';
import { exhaustedLimit } from './rate-limit.ts';
import type { RateLimit } from './verdict.ts';

export interface TransportOptions {
  /** For one call with its redirects and its body, in milliseconds. */
  readonly timeoutMs: number;
  /** `X-GitHub-Api-Version`: https://docs.github.com/en/rest/about-the-rest-api/api-versions */
  readonly apiVersion: string;
  /** See `ClientOptions`. */
  readonly onExhausted: (limit: RateLimit) => void;
}

const MAX_REDIRECTS = 5;
// GitHub's answers to most of our calls have some kilobytes. A run has some 20 in a list of a hundred; a folder lists up to a
// thousand files with some 900 bytes each, and a file of up to 1 MiB comes as base64.
const MAX_ANSWER_BYTES = 1024 * 1024;
const MAX_LIST_BYTES = 8 * MAX_ANSWER_BYTES;

/**
 * The fetch for Octokit, which trusts nothing on the way to GitHub. It has a timeout of its own, as @octokit/auth-app's
 * token calls do not see the request's signal, and one that hangs would block every later call for its installation.
 * It limits the answer's size, and follows redirects only where they stay with GitHub. It rejects with a
 * {@link ForeignAnswer} where something else than GitHub answered 2xx.
 */
export function createTransport(options: TransportOptions): typeof fetch {
  const { timeoutMs, apiVersion, onExhausted } = options;
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const headers = new Headers(init?.headers);
    headers.set('x-github-api-version', apiVersion);

    const response = await follow(url, { ...init, headers, signal, redirect: 'manual' }, onExhausted);
    reportExhausted(response, onExhausted);
    return readAnswer(response, url.pathname);
  };
}

/** @throws where a redirect leads elsewhere, or there are too many */
async function follow(
  start: URL,
  init: RequestInit & { readonly method?: string },
  onExhausted: (limit: RateLimit) => void,
): Promise<Response> {
  let url = start;
  for (let redirects = 0; ; redirects++) {
    const response = await fetch(url.href, init);
    if (!isRedirect(response.status)) return response;
    await response.body?.cancel();
    reportExhausted(response, onExhausted);
    const location = response.headers.get('location') ?? '';
    const target = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
    if (!target || target.origin !== start.origin || !isFollowed(response.status, init.method)) {
      throw new Error(redirected(response.status, target));
    }
    if (redirects === MAX_REDIRECTS) {
      throw new Error(`more than ${MAX_REDIRECTS} redirects, the last one to ${target.origin}`);
    }
    url = target;
  }
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/**
 * Whether a redirect repeats the call as it is. GitHub answers the calls for a renamed repository with 307, and with 301
 * where they only read.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
 */
function isFollowed(status: number, method = 'GET'): boolean {
  return [307, 308].includes(status) || (method === 'GET' && [301, 302].includes(status));
}

// Its origin alone: a path or a query may hold what belongs in no log.
function redirected(status: number, target: URL | undefined): string {
  const where = target ? `to ${target.origin}` : 'to nowhere';
  return `a redirect (${status}) leads ${where}, which is not followed: check the proxy on the way to GitHub, and GITHUB_API_URL`;
}

/** Not for what gets a verdict of its own: an answer to a dispatch, and a refusal. */
function reportExhausted(response: Response, onExhausted: (limit: RateLimit) => void): void {
  if (response.status === 204 || response.status >= 400) return;
  const limit = exhaustedLimit(Object.fromEntries(response.headers), Date.now());
  if (limit) onExhausted(limit);
}

/**
 * The whole answer, in a form that Octokit reads without surprises: it takes what has no content type for text, and
 * throws on one that is malformed.
 */
async function readAnswer(response: Response, path: string): Promise<Response> {
  const { status, statusText } = response;
  const isLong = path.endsWith('/actions/runs') || path.includes('/contents/');
  const text = await readText(response, isLong ? MAX_LIST_BYTES : MAX_ANSWER_BYTES);
  const data = parseJson(text);
  const headers = new Headers(response.headers);
  headers.set('content-type', data === undefined ? 'text/plain' : 'application/json');
  if (response.ok && !isGitHubs(path, data)) throw new ForeignAnswer(status, Object.fromEntries(headers));
  const hasNoBody = [204, 205, 304].includes(status);
  return new Response(hasNoBody ? null : text, { status, statusText, headers });
}

/** @throws for an answer over `max` bytes */
async function readText(response: Response, max: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > max) throw new Error(`the answer ${response.status} is over ${max / 1024 / 1024} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** undefined where it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
