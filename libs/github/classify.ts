/** What came of one attempt to send a dispatch. */
export type SendResult =
  | {
      kind: 'response';
      /** Which of the calls that an attempt is made of was answered. */
      step: Step;
      status: number;
      headers: Readonly<Record<string, string | number | undefined>>;
      /** GitHub's own message, empty where it gave none. */
      message: string;
    }
  | { kind: 'timeout'; step: Step }
  | { kind: 'network'; step: Step; message: string }
  | { kind: 'key'; message: string };

/** Looking up the App's installation for an owner, getting its token, and the dispatch itself. */
export type Step = 'installation' | 'token' | 'dispatch';

/** GitHub has asked for fewer calls: how long to make none, in milliseconds, or undefined where it did not say. */
export interface RateLimit {
  readonly kind: 'primary' | 'secondary';
  readonly waitMs: number | undefined;
}

/** The HTTP status of an answer, or why there was none. */
export type ErrorCode = `${number}` | 'timeout' | 'network' | 'auth' | 'internal';

export type Verdict =
  /** Done. With `limit`, the last call that GitHub would take for now. */
  | { kind: 'delivered'; code: `${number}`; limit?: RateLimit | undefined }
  /** May go well another time. */
  | { kind: 'retry'; code: ErrorCode; message: string; limit?: RateLimit | undefined }
  /** Refused for the number of calls, not for itself: it counts as no attempt. */
  | { kind: 'pause'; code: `${number}`; message: string; limit: RateLimit }
  /** Will not go well until somebody changes something: `hint` says what. */
  | { kind: 'dead'; code: ErrorCode; message: string; hint: string; limit?: RateLimit | undefined };

/**
 * Decides what an answer of GitHub means for the dispatch. Pure.
 * @param now milliseconds since the epoch, to which `x-ratelimit-reset` is compared
 * https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
 */
export function classify(result: SendResult, repo: string, now: number): Verdict {
  switch (result.kind) {
    case 'timeout':
      return { kind: 'retry', code: 'timeout', message: `GitHub did not answer in time (${result.step})` };
    case 'network':
      return { kind: 'retry', code: 'network', message: `GitHub cannot be reached: ${result.message}` };
    case 'key':
      return { kind: 'retry', code: 'auth', message: `GITHUB_PRIVATE_KEY_PATH ${result.message}` };
    case 'response':
      return classifyResponse(result, repo, now);
    default:
      return result satisfies never;
  }
}

type Response = Extract<SendResult, { kind: 'response' }>;

function classifyResponse(response: Response, repo: string, now: number): Verdict {
  const { status, step } = response;
  const code = `${status}` as const;
  const message = `GitHub answered ${status}${response.message && `: ${response.message}`} (${step})`;

  if (isRateLimit(response)) {
    const kind = isExhausted(response) && !/secondary/i.test(response.message) ? 'primary' : 'secondary';
    return { kind: 'pause', code, message, limit: { kind, waitMs: waitMs(response, now) } };
  }
  const limit = exhaustedLimit(response, now);
  if (status >= 200 && status < 300) return { kind: 'delivered', code, limit };
  if (status >= 500 || status === 408 || status === 401) return { kind: 'retry', code, message, limit };
  // GITHUB_APP_ID is wrong, which is the service's own fault and not the dispatch's.
  if (status === 404 && /integration not found/i.test(response.message))
    return { kind: 'retry', code: 'auth', message, limit };
  return { kind: 'dead', code, message, hint: hint(response, repo), limit };
}

function isRateLimit({ status, headers, message }: Response): boolean {
  if (status === 429) return true;
  return (
    status === 403 &&
    (headers['retry-after'] !== undefined ||
      String(headers['x-ratelimit-remaining']) === '0' ||
      /rate limit/i.test(message))
  );
}

/** The primary limit, where an answer of whichever kind says that it was the last before it. */
export function exhaustedLimit(answer: Pick<Response, 'headers'>, now: number): RateLimit | undefined {
  return isExhausted(answer) ? { kind: 'primary', waitMs: waitMs(answer, now) } : undefined;
}

function isExhausted({ headers }: Pick<Response, 'headers'>): boolean {
  return String(headers['x-ratelimit-remaining']) === '0';
}

function waitMs({ headers }: Pick<Response, 'headers'>, now: number): number | undefined {
  const retryAfter = headers['retry-after'];
  if (retryAfter !== undefined && retryAfter !== '') {
    const seconds = Number(retryAfter);
    const ms = Number.isNaN(seconds) ? Date.parse(String(retryAfter)) - now : seconds * 1000;
    if (!Number.isNaN(ms)) return Math.max(0, ms);
  }
  const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN);
  if (String(headers['x-ratelimit-remaining']) === '0' && !Number.isNaN(reset)) {
    // A second more: the limit ends within the second that the header names.
    return Math.max(0, reset * 1000 - now) + 1000;
  }
  return undefined;
}

function hint({ status, message }: Response, repo: string): string {
  if (/suspended/i.test(message)) {
    return `The App's installation on ${repo} is suspended. Unsuspend it in the settings of the organization, then retry.`;
  }
  switch (status) {
    case 404:
      return `The App is not installed on ${repo}, or the repository does not exist. Install it or correct dispatch_repo, then retry.`;
    case 403:
      return `The App may not dispatch to ${repo}. Grant it the permission "Contents: read and write" and accept it on the installation, then retry.`;
    case 410:
      return `${repo} is gone or its Actions are disabled. Correct dispatch_repo or enable them, then retry.`;
    case 422:
      return `GitHub does not accept the dispatch for ${repo}. Read its message, correct the Alert, and discard this one.`;
    default:
      return `GitHub refuses the dispatch to ${repo}. Read its message, mend the cause, then retry.`;
  }
}
