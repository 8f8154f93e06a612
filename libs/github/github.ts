import { type AppOptions, createApp } from './app.ts';
import { classify } from './classify.ts';
import { splitRepository } from './repository.ts';
import type { Verdict } from './verdict.ts';

/** What is to be sent: https://docs.github.com/en/rest/repos/repos#create-a-repository-dispatch-event */
export interface RepositoryDispatch {
  /** `owner/name`. */
  readonly repo: string;
  readonly event_type: string;
  /** What the workflow finds in `github.event.client_payload`. */
  readonly payload: Readonly<Record<string, unknown>>;
}

export interface GitHub {
  /** Sends a dispatch once, and says what came of it. Only a bug throws. */
  attempt(dispatch: RepositoryDispatch): Promise<Verdict>;
}

/** The door to GitHub: in front of it, no one sees a status code; behind it, no one knows the queue. */
export function createGitHub(options: AppOptions): GitHub {
  const app = createApp(options);
  return {
    async attempt({ repo, event_type, payload }) {
      const { owner, name } = splitRepository(repo);
      const result = await app.call('dispatch', repo, (client, signal) =>
        client.request('POST /repos/{owner}/{repo}/dispatches', {
          ...{ owner, repo: name, event_type, client_payload: payload },
          request: { signal },
        }),
      );
      return classify(result, repo, Date.now());
    },
  };
}
