import type { Logger } from '@flux-dispatch/runtime/log';
import { createAppAuth } from '@octokit/auth-app';
import { Octokit } from '@octokit/rest';
import packageJson from './package.json' with { type: 'json' };
import { createTransport } from './transport.ts';
import type { RateLimit } from './verdict.ts';

export interface ClientOptions {
  readonly apiUrl: string;
  /** The version of GitHub's REST API, such as `2026-03-10`. Octokit names none: GitHub's default would then decide. */
  readonly apiVersion: string;
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

/**
 * Makes Octokits for the App. That of an installation keeps its token, which @octokit/auth-app renews before it expires.
 * Octokit's plugins for retries and throttling stay off: the queue owns the retries.
 */
export function clientFactory(options: ClientOptions): (credentials: Credentials) => Octokit {
  const { apiUrl, appId, log } = options;
  const trace = (message: string) => log.debug({ source: 'octokit' }, message);
  const request = { fetch: createTransport(options) };

  return credentials =>
    new Octokit({
      baseUrl: apiUrl,
      userAgent: `flux-dispatch/${packageJson.version}`,
      authStrategy: createAppAuth,
      auth: { appId, ...credentials },
      log: { debug: trace, info: trace, warn: trace, error: trace },
      request,
    });
}
