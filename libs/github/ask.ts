import type { ApiCall, ApiResult } from './api-result.ts';
import type { App } from './app.ts';
import { classify } from './classify.ts';
import { splitRepository } from './repository.ts';
import type { Fact, Unread } from './repository-facts.ts';
import type { RateLimit } from './verdict.ts';

/** Why a chain of questions ended early. */
export type Stop =
  | { readonly kind: 'held' }
  /** GitHub refused a call for the number of calls, or says that none is left. */
  | { readonly kind: 'limited'; readonly limit: RateLimit };

/** Questions to GitHub about one repository. Once one of them has stopped, no other is asked. */
export interface Asker {
  readonly stopped: () => Stop | undefined;
  /**
   * Makes one call.
   * @param route what follows `/repos/{owner}/{repo}`
   * @param parse the answer's body; undefined where GitHub would not answer so
   */
  ask<T>(
    call: ApiCall,
    route: string,
    parameters: Readonly<Record<string, string | number>>,
    parse: (data: unknown) => T | undefined,
  ): Promise<Fact<T>>;
}

export const NOT_ASKED = { kind: 'not_asked' } as const;

/**
 * @param repo `owner/name`
 * @param mayCall asked before each call. Where it says no, the questions are `held`, and what it rejects with is passed on
 * @throws where `repo` is not `owner/name`
 */
export function createAsker(app: App, repo: string, mayCall: () => Promise<boolean>): Asker {
  const { owner, name } = splitRepository(repo);
  let stop: Stop | undefined;

  return {
    stopped: () => stop,
    async ask(call, route, parameters, parse) {
      if (!stop && !(await mayCall())) stop = { kind: 'held' };
      if (stop) return NOT_ASKED;
      const result = await app.call(call, repo, (client, signal) =>
        client.request(`GET /repos/{owner}/{repo}${route}`, {
          ...{ owner, repo: name, ...parameters },
          request: { signal },
        }),
      );
      const value = isAnswer(result, call) ? parse(result.data) : undefined;
      if (value !== undefined) return { kind: 'read', value };
      const verdict = classify(result, repo, Date.now());
      if (verdict.kind === 'delivered') throw new Error(`A question was taken for a dispatch: ${call}`);
      // Where the answer has content, the transport reports that it was the last one.
      if (verdict.limit && !isAnswer(result, call)) {
        stop = { kind: 'limited', limit: verdict.limit };
        return NOT_ASKED;
      }
      return unread(result, verdict.message);
    },
  };
}

function isAnswer(
  result: ApiResult,
  call: ApiCall,
): result is Extract<ApiResult, { readonly kind: 'response' }> {
  return result.kind === 'response' && result.call === call && result.status === 200;
}

/** @param reason what `classify` makes of the result */
function unread(result: ApiResult, reason: string): Unread {
  if (result.kind === 'moved') return { kind: 'moved', owner: result.owner };
  if (result.kind !== 'response') return { kind: 'unavailable', reason };
  const { status, call, message } = result;
  // GitHub documents no answer for it. It refuses to start a workflow by hand with 422 "Actions has been disabled for this
  // repository." (or "for this user."), while it goes on listing workflows and runs, in what people report.
  if (status >= 400 && status < 500 && /actions.*disabled/i.test(message)) return { kind: 'disabled' };
  if (status === 403) return /suspended/i.test(message) ? { kind: 'suspended' } : { kind: 'forbidden' };
  // GITHUB_APP_ID is wrong, which says nothing about the repository.
  const isOurFault = /integration not found/i.test(message);
  return status === 404 && !isOurFault ? { kind: 'missing', call } : { kind: 'unavailable', reason };
}
