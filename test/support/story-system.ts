import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { openQueues, type Queues } from './queues.ts';
import { STORY_TOKEN } from './recorded-events.ts';
import { UNHURRIED } from './unhurried.ts';

/** A system that accepts the recorded stories, its queues, and a GitHub of its own. */
export interface StorySystem extends AsyncDisposable {
  readonly github: RunningGitHubStub;
  readonly system: System;
  readonly queues: Queues;
}

export async function startStorySystem(redisUrl: string, ingests: number): Promise<StorySystem> {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials(STORY_TOKEN));
  const github = stack.use(await startGitHubStub(credentials.stub));
  const system = stack.use(
    await startSystem({ redisUrl, githubUrl: github.url, credentials, ingests, env: UNHURRIED }),
  );
  const queues = stack.use(openQueues(redisUrl, system.prefix));
  const started = stack.move();
  return { github, system, queues, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
