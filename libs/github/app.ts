import type { Octokit } from '@octokit/rest';
import { type ApiCall, type ApiResult, failedCall, type ResponseHeaders } from './api-result.ts';
import { type ClientOptions, clientFactory } from './client.ts';
import { type Deadline, deadlineAfter } from './deadline.ts';
import { createInstallations } from './installations.ts';
import { createQuotas, type Quota } from './quota.ts';
import { splitRepository } from './repository.ts';

export interface AppOptions extends ClientOptions {
  /** The App's private key as PKCS #8 PEM. Read before every chain of calls, so that a rotated key counts. */
  readonly privateKey: () => Promise<string>;
  /** Looked up for each owner where it is not given. */
  readonly installationId?: number | undefined;
  /** For a chain of calls from the look-up to the answer, in milliseconds. */
  readonly timeoutMs: number;
  /** A clock that only goes forward, in milliseconds. Default: that of the process. */
  readonly now?: () => number;
}

/** The GitHub App, calling as the installation that it has on a repository. */
export interface App {
  /**
   * Makes one call for a repository, `owner/name`, once its installation is looked up and has a token. An expected
   * failure is a value, whichever of these calls it comes from; only a bug throws.
   */
  call(name: ApiCall, repository: string, send: Send): Promise<ApiResult>;
  /** What is left of the hourly limit of a repository's installation; undefined where GitHub has not said so. */
  quota(repository: string): Quota | undefined;
}

/** Sends the call. The client is that of the installation, and the signal ends it with the time for the whole chain. */
export type Send = (
  client: Octokit,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly headers: ResponseHeaders; readonly data?: unknown }>;

export function createApp(options: AppOptions): App {
  const { privateKey, installationId, timeoutMs, now = () => performance.now() } = options;
  const quotas = createQuotas(now);
  const installations = createInstallations({ newClient: clientFactory(options), installationId, now });

  async function chain(name: ApiCall, repository: string, send: Send, deadline: Deadline) {
    const installation = installations.on(repository);
    let call: ApiCall = 'installation';
    try {
      const client = await deadline.within(installation.client);
      call = 'token';
      await deadline.within(client.auth({ type: 'installation' }));
      call = name;
      const { status, headers, data } = await send(client, deadline.signal);
      const result: ApiResult = { kind: 'response', call, status, headers, message: '', data };
      return { installation, result };
    } catch (error) {
      return { installation, result: failedCall(error, call) };
    }
  }

  async function call(name: ApiCall, repository: string, send: Send): Promise<ApiResult> {
    try {
      installations.signWith(await privateKey());
    } catch (error) {
      return { kind: 'key', message: (error as Error).message };
    }
    const deadline = deadlineAfter(timeoutMs);
    const { installation, result } = await chain(name, repository, send, deadline);
    if (isOutdated(result)) {
      const replaced = installation.evict();
      if (!replaced || !installation.cached) return result;
      const second = await chain(name, repository, send, deadline);
      return second.result;
    }
    if (result.kind === 'response' && result.status === 404) installation.doubt();
    return result;
  }

  return {
    async call(name, repository, send) {
      const result = await call(name, repository, send);
      // The calls before have the limit of the App itself.
      if (result.kind === 'response' && result.call === name) {
        quotas.note(splitRepository(repository).owner, result.headers);
      }
      return result;
    },
    quota: repository => quotas.of(splitRepository(repository).owner),
  };
}

/**
 * Whether an installation that was looked up before may explain the answer: its token was revoked (401), or it gets none
 * because the App was installed again under another id (404 for the token).
 */
function isOutdated(result: ApiResult): boolean {
  if (result.kind !== 'response') return false;
  return result.status === 401 || (result.status === 404 && result.call === 'token');
}
