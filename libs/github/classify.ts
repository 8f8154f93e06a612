import type { ApiResponse, ApiResult } from './api-result.ts';
import { answeredAt, exhaustedLimit, refusedLimit } from './rate-limit.ts';
import type { Verdict } from './verdict.ts';

/**
 * Decides what GitHub's answer means for a dispatch. Pure.
 * @param repo the repository of the dispatch, which hints name
 * @param now milliseconds since the epoch, to which `x-ratelimit-reset` is compared
 */
export function classify(result: ApiResult, repo: string, now: number): Verdict {
  switch (result.kind) {
    case 'timeout':
      return unanswered(
        'timeout',
        `GitHub did not answer in time (${result.call})`,
        result.call === 'dispatch',
      );
    case 'network':
      return unanswered(
        'network',
        `GitHub cannot be reached: ${result.message}`,
        result.call === 'dispatch' && BROKEN_OFF.test(result.message),
      );
    case 'key':
      return unanswered('auth', `GITHUB_PRIVATE_KEY_PATH ${result.message}`, false);
    case 'moved':
      return moved(repo, result.owner);
    case 'response':
      return classifyResponse(result, repo, now);
    default:
      return result satisfies never;
  }
}

// What Node says of a connection that broke once there was one.
const BROKEN_OFF = /ECONNRESET|EPIPE|other side closed|socket hang up|terminated/i;

function unanswered(code: 'timeout' | 'network' | 'auth', message: string, isDoubtful: boolean): Verdict {
  return { kind: 'retry', code, message, ...(isDoubtful && { isDoubtful }) };
}

function moved(repo: string, owner: string): Verdict {
  return {
    ...{ kind: 'dead', code: '301', message: `GitHub says that ${repo} now belongs to ${owner}` },
    hint: `${repo} was transferred to ${owner}. Correct dispatch_repo, add ${owner} to ALLOWED_OWNERS if that is wanted, and remove this dead letter.`,
  };
}

function classifyResponse(response: ApiResponse, repo: string, now: number): Verdict {
  const { status, call } = response;
  const code = `${status}` as const;
  const message = `GitHub answered ${status}${response.message && `: ${response.message}`} (${call})`;

  const refused = refusedLimit(response, now);
  if (refused) return { kind: 'pause', code, message, limit: refused };

  const limit = exhaustedLimit(response.headers, now);
  if (call === 'dispatch' && status === 204)
    return { kind: 'delivered', code, limit, at: answeredAt(response.headers) };
  if (status < 400) return { kind: 'retry', code, message: foreign(response), limit };
  if (status >= 500 || status === 408 || status === 401) return { kind: 'retry', code, message, limit };
  // Faults of this service, and not of the dispatch: GITHUB_APP_ID is wrong, or GITHUB_API_VERSION.
  if (status === 404 && /integration not found/i.test(response.message)) {
    return { kind: 'retry', code: 'auth', message, limit };
  }
  if (status === 400 && /not a supported version/i.test(response.message)) {
    return {
      kind: 'retry',
      code,
      message: `${message}. Set GITHUB_API_VERSION to one that it supports`,
      limit,
    };
  }
  return { kind: 'dead', code, message, hint: hint(response, repo), limit };
}

function foreign({ status, call }: ApiResponse): string {
  return `Something between the dispatcher and GitHub answered ${status} (${call}), such as the sign-in page of a proxy: check the proxy on the way to GitHub, and GITHUB_API_URL`;
}

function hint({ status, message }: ApiResponse, repo: string): string {
  if (/suspended/i.test(message)) {
    return `The App's installation on ${repo} is suspended. Unsuspend it in the settings of the organization, then retry.`;
  }
  if (status === 403 && /archived/i.test(message)) {
    return `${repo} is archived, and so read-only. Unarchive it in its settings or correct dispatch_repo, then retry.`;
  }
  switch (status) {
    case 404:
      return `The App is not installed on ${repo}, or the repository does not exist. Install it or correct dispatch_repo, then retry.`;
    case 403:
      return `The App may not dispatch to ${repo}. Grant it the permission "Contents: read and write" and accept it on the installation, then retry.`;
    case 410:
      return `${repo} is gone or its Actions are disabled. Correct dispatch_repo or enable them, then retry.`;
    case 422:
      return `GitHub does not accept the dispatch for ${repo}. Read GitHub's message, correct the Alert, and remove this dead letter.`;
    default:
      return `GitHub refuses the dispatch to ${repo}. Read GitHub's message, fix the cause, then retry.`;
  }
}
