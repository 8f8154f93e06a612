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
    hint: `${repo} was transferred to ${owner}. Correct dispatch_repo in the Alert. If events are then refused for their owner, ask the operators of flux-dispatch to add ${owner} to ALLOWED_OWNERS. Operators can remove this dead letter.`,
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

// What comes after the remedy. Product teams read hints on their Alerts, operators read them on the board.
const RETRY =
  "Then operators of flux-dispatch can press Retry; otherwise Flux's next report after the cooldown is sent.";

function hint({ status, message }: ApiResponse, repo: string): string {
  if (/suspended/i.test(message)) {
    return `The GitHub App of flux-dispatch is suspended on ${repo}. An owner of the organization can unsuspend it: Settings, GitHub Apps, Configure. ${RETRY}`;
  }
  if (status === 403 && /archived/i.test(message)) {
    return `${repo} is archived, and so read-only. Unarchive it in its settings, or correct dispatch_repo in the Alert. ${RETRY}`;
  }
  switch (status) {
    case 404:
      return `The GitHub App of flux-dispatch is not installed on ${repo}, or the repository does not exist. Correct dispatch_repo in the Alert, or ask an owner of the organization to install the App. ${RETRY}`;
    case 403:
      return `The GitHub App of flux-dispatch may not dispatch to ${repo}. Ask the operators of flux-dispatch to grant it the permission "Contents: read and write", and an owner of the organization to accept it on the installation. ${RETRY}`;
    case 410:
      return `${repo} is gone, or GitHub Actions is disabled for it. Correct dispatch_repo in the Alert, or enable Actions: Settings, Actions, General. ${RETRY}`;
    case 422:
      return `GitHub does not accept the dispatch for ${repo}; its message says why. Correct the Alert. Retry would send the same dispatch again, so operators of flux-dispatch should remove this dead letter.`;
    default:
      return `GitHub refuses the dispatch to ${repo}; its message says why. Fix the cause, or ask the operators of flux-dispatch to. ${RETRY}`;
  }
}
