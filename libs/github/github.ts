import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Logger } from '@flux-dispatch/runtime/log';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import { exhaustedLimit, type RateLimit, type SendResult, type Step } from './classify.ts';
import packageJson from './package.json' with { type: 'json' };
import { ownerOf } from './repository.ts';

export interface GitHubOptions {
  readonly apiUrl: string;
  readonly appId: string;
  /** The App's private key as PKCS #8 PEM. Asked before every attempt, so that a rotated key counts. */
  readonly privateKey: () => Promise<string>;
  /** Looked up for each owner where it is not given. */
  readonly installationId?: number | undefined;
  /** For one attempt with all its calls, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * Told when a call on the way to a dispatch, for an installation or its token, was the last before the rate limit.
   * The dispatch's own answer has it in its headers.
   */
  readonly onExhausted: (limit: RateLimit) => void;
  readonly log: Logger;
}

export interface GitHub {
  /** Sends a dispatch once. What comes of it is a value; only a bug throws. */
  send(dispatch: Dispatch): Promise<SendResult>;
}

// Octokit sends none: GitHub's default of the day would then decide.
// https://docs.github.com/en/rest/about-the-rest-api/api-versions
const API_VERSION = '2022-11-28';

/** An attempt's result, with whether it rested on something cached that may have become invalid. */
type Attempt = { result: SendResult; cached: boolean };

/**
 * GitHub's API as a GitHub App sees it. Installations are looked up once for each owner and kept, with their token, by
 * an Octokit of their own; @octokit/auth-app renews a token before it expires. Octokit's retry and throttling plugins
 * stay off: the queue owns the retries.
 */
export function createGitHub(options: GitHubOptions): GitHub {
  const { apiUrl, appId, timeoutMs, log } = options;
  const installations = new Map<string, Promise<Octokit>>();
  let key: string | undefined;

  /**
   * A fetch with a timeout of its own. @octokit/auth-app's token calls do not see the request's signal, and one that
   * hangs would block every later call for its installation.
   */
  const observedFetch: typeof fetch = async (input, init) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const response = await fetch(input, { ...init, signal });
    if (response.ok && response.status !== 204) {
      const limit = exhaustedLimit({ headers: Object.fromEntries(response.headers) }, Date.now());
      if (limit) options.onExhausted(limit);
    }
    return response;
  };

  function octokit(auth: { installationId?: number }): Octokit {
    const trace = (message: string) => log.debug({ source: 'octokit' }, message);
    const client = new Octokit({
      baseUrl: apiUrl,
      userAgent: `flux-dispatch/${packageJson.version}`,
      authStrategy: createAppAuth,
      auth: { appId, privateKey: key, ...auth },
      log: { debug: trace, info: trace, warn: trace, error: trace },
      request: { fetch: observedFetch },
    });
    client.hook.before('request', ({ headers }) => {
      headers['x-github-api-version'] = API_VERSION;
    });
    return client;
  }

  async function lookUp(owner: string, repo: string): Promise<Octokit> {
    if (options.installationId !== undefined) return octokit({ installationId: options.installationId });
    // By repository rather than by organization or user: it does for both, and tells a repository without the App.
    const { data } = await octokit({}).request('GET /repos/{owner}/{repo}/installation', { owner, repo });
    return octokit({ installationId: data.id });
  }

  async function attempt(dispatch: Dispatch, expiry: Expiry): Promise<Attempt> {
    let step: Step = 'installation';
    const owner = ownerOf(dispatch.repo);
    const repo = dispatch.repo.slice(owner.length + 1);
    const cacheKey = owner.toLowerCase();
    let installation = installations.get(cacheKey);
    const cached = installation !== undefined;
    const startLookUp = () => {
      installation = lookUp(owner, repo);
      installations.set(cacheKey, installation);
      return installation;
    };
    const evict = () => {
      // Compared first: another attempt may have looked the owner up again by now.
      if (installations.get(cacheKey) === installation) installations.delete(cacheKey);
    };
    try {
      // A look-up under way may be another repository's, whose 404 says nothing about this one.
      const joined = installation?.catch(error => {
        if (error.status !== 404) throw error;
        return startLookUp();
      });
      const client = await expiry.within(joined ?? startLookUp());
      step = 'token';
      await expiry.within(client.auth({ type: 'installation' }));
      step = 'dispatch';
      const { status, headers } = await client.request('POST /repos/{owner}/{repo}/dispatches', {
        owner,
        repo,
        event_type: dispatch.event_type,
        client_payload: dispatch.payload,
        request: { signal: expiry.signal },
      });
      return {
        result: { kind: 'response', step, status, headers, message: '' },
        cached,
      };
    } catch (error) {
      const result = failure(error, step);
      const unresolved = step === 'installation';
      if (unresolved || (result.kind === 'response' && (result.status === 401 || result.status === 404)))
        evict();
      return { result, cached };
    }
  }

  return {
    async send(dispatch) {
      try {
        const current = await options.privateKey();
        if (current !== key) installations.clear();
        key = current;
      } catch (error) {
        return { kind: 'key', message: (error as Error).message };
      }
      const expiry = expireAfter(timeoutMs);
      const first = await attempt(dispatch, expiry);
      return first.cached && isOutdated(first.result)
        ? (await attempt(dispatch, expiry)).result
        : first.result;
    },
  };
}

/**
 * Whether what was cached explains the answer: a token that was revoked (401), or one that cannot be had because the
 * App was installed anew under another id (404 for the token).
 */
function isOutdated(result: SendResult): boolean {
  if (result.kind !== 'response') return false;
  return result.status === 401 || (result.status === 404 && result.step === 'token');
}

/** What Octokit threw, as a value. An error without `response` is one of the connection. */
function failure(error: unknown, step: Step): SendResult {
  const { response, message, cause } = error as {
    response?: { status: number; headers: Record<string, string>; data?: { message?: unknown } };
    message: string;
    cause?: unknown;
  };
  if (response) {
    const text = typeof response.data?.message === 'string' ? response.data.message : '';
    return { kind: 'response', step, status: response.status, headers: response.headers, message: text };
  }
  const names = [error, cause].map(thrown => (thrown as Error | undefined)?.name);
  if (names.includes('TimeoutError') || names.includes('AbortError')) return { kind: 'timeout', step };
  if (error instanceof TypeError && !cause) throw error;
  return { kind: 'network', step, message };
}

interface Expiry {
  readonly signal: AbortSignal;
  /** Waits no longer than the expiry. @throws TimeoutError */
  within<T>(promise: Promise<T>): Promise<T>;
}

function expireAfter(timeoutMs: number): Expiry {
  const signal = AbortSignal.timeout(timeoutMs);
  const expired = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  expired.catch(() => undefined);
  return { signal, within: promise => Promise.race([promise, expired]) };
}
