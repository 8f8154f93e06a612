import { type AppOptions, createApp, type Send } from './app.ts';
import { classify } from './classify.ts';
import { type Diagnosis, diagnoseMissingRun } from './diagnosis.ts';
import type { Quota } from './quota.ts';
import { splitRepository } from './repository.ts';
import { type ListedRuns, listRuns, type RunListing } from './runs.ts';
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
  /**
   * Sends a dispatch once, and says what came of it. A bug of ours is a verdict too.
   * @param mayGo asked at the last moment, when the installation has a token: the call itself is what the pace is about.
   *   Where it says no, the call is `held`, and where it rejects, so does the attempt
   */
  attempt(dispatch: RepositoryDispatch, mayGo?: () => Promise<boolean>): Promise<Verdict | 'held'>;
  /** Lists the runs for repository_dispatch that a repository, `owner/name`, has had since a time. See `listRuns`. */
  listRuns(
    repo: string,
    since: number,
    previous: RunListing | undefined,
    mayCall: () => Promise<boolean>,
  ): Promise<ListedRuns>;
  /** What is left of the hourly limit of a repository's installation; undefined where GitHub has not said so. */
  quota(repo: string): Quota | undefined;
  /** Finds out why no run came of a dispatch that GitHub accepted: see {@link diagnoseMissingRun}. */
  diagnose(repo: string, eventType: string, mayCall?: () => Promise<boolean>): Promise<Diagnosis>;
}

/** The door to GitHub: in front of it, no one sees a status code; behind it, no one knows the queue. */
export function createGitHub(options: AppOptions): GitHub {
  const app = createApp(options);
  return {
    async attempt(dispatch, mayGo = async () => true) {
      const { repo } = dispatch;
      let asked: Promise<boolean> | undefined;
      const call = async () => {
        const send = dispatching(dispatch);
        const result = await app.call('dispatch', repo, async (client, signal) => {
          asked = mayGo();
          // What it rejects with is no answer of GitHub's.
          return (await asked.catch(() => false)) ? send(client, signal) : NOT_SENT;
        });
        return classify(result, repo, Date.now());
      };
      const verdict = await call().catch(unexpected);
      return (await asked) === false ? 'held' : verdict;
    },
    listRuns: (repo, since, previous, mayCall) => listRuns(app, repo, since, previous, mayCall),
    quota: repo => app.quota(repo),
    diagnose: (repo, eventType, mayCall) => diagnoseMissingRun(app, { repo, eventType, mayCall }),
  };
}

const NOT_SENT = { status: 0, headers: {} };

function dispatching({ repo, event_type, payload }: RepositoryDispatch): Send {
  const { owner, name } = splitRepository(repo);
  return (client, signal) =>
    client.request('POST /repos/{owner}/{repo}/dispatches', {
      ...{ owner, repo: name, event_type, client_payload: payload },
      request: { signal },
    });
}

/** Another attempt may find another state, or another version of this service, and goes better. */
function unexpected(error: unknown): Verdict {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return {
    kind: 'retry',
    code: 'internal',
    message: `Unexpected error in the dispatcher: ${message}`,
    stack,
  };
}
