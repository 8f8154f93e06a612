import type { Logger } from '@flux-dispatch/runtime/log';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import packageJson from './package.json' with { type: 'json' };
import { exhaustedLimit } from './rate-limit.ts';
import type { RateLimit } from './verdict.ts';

export interface ClientOptions {
  readonly apiUrl: string;
  readonly appId: string;
  /** For one call, in milliseconds. */
  readonly timeoutMs: number;
  /**
   * Called when GitHub answers a call with content, such as a token, and says that no call is left after it. The answer
   * to a dispatch has no content: its verdict has the limit.
   */
  readonly onExhausted: (limit: RateLimit) => void;
  readonly log: Logger;
}

/** Who makes the calls: the App itself, or one of its installations. */
export interface Credentials {
  /** PKCS #8 PEM. */
  readonly privateKey: string;
  readonly installationId?: number;
}

// Octokit sends none: GitHub's default of the day would then decide.
// https://docs.github.com/en/rest/about-the-rest-api/api-versions
const API_VERSION = '2022-11-28';

/**
 * Makes Octokits for the App. That of an installation keeps its token, which @octokit/auth-app renews before it expires.
 * Octokit's plugins for retries and throttling stay off: the queue owns the retries.
 */
export function clientFactory(options: ClientOptions): (credentials: Credentials) => Octokit {
  const { apiUrl, appId, timeoutMs, onExhausted, log } = options;

  /**
   * A fetch with a timeout of its own. @octokit/auth-app's token calls do not see the request's signal, and one that
   * hangs would block every later call for its installation.
   */
  const limitedFetch: typeof fetch = async (input, init) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
    const response = await fetch(input, { ...init, signal });
    if (response.ok && response.status !== 204) {
      const limit = exhaustedLimit(Object.fromEntries(response.headers), Date.now());
      if (limit) onExhausted(limit);
    }
    return response;
  };
  const trace = (message: string) => log.debug({ source: 'octokit' }, message);

  return credentials => {
    const client = new Octokit({
      baseUrl: apiUrl,
      userAgent: `flux-dispatch/${packageJson.version}`,
      authStrategy: createAppAuth,
      auth: { appId, ...credentials },
      log: { debug: trace, info: trace, warn: trace, error: trace },
      request: { fetch: limitedFetch },
    });
    client.hook.before('request', ({ headers }) => {
      headers['x-github-api-version'] = API_VERSION;
    });
    return client;
  };
}
