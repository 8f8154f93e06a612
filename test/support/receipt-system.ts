import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import {
  type EventOptions,
  fluxEvent,
  type IngestAnswer,
  ociRevision,
  postEvent,
} from '@flux-dispatch/testbed/flux';
import { type System, startSystem } from '@flux-dispatch/testbed/system';
import { NotYet, until } from '@flux-dispatch/testbed/until';
import type { Job, Queue } from 'bullmq';
import { openQueues, type Queues } from './queues.ts';
import { UNHURRIED } from './unhurried.ts';

/** A system whose receipts are settled within seconds, and a GitHub of its own. */
export interface ReceiptSystem extends AsyncDisposable {
  readonly github: RunningGitHubStub;
  readonly credentials: Credentials;
  readonly system: System;
  readonly queues: Queues;
  readonly receipts: Queue<Receipt>;
  /** Posts an event about an object with the name of its content. */
  post(options: EventOptions & { readonly repo?: string }): Promise<IngestAnswer>;
  /** Waits until a receipt has ended: its job. */
  ended(dispatchId: string | undefined, state?: 'completed' | 'failed'): Promise<Job<Receipt>>;
}

export async function startReceiptSystem(
  redisUrl: string,
  env: Readonly<Record<string, string>> = {},
  dispatchers = 1,
): Promise<ReceiptSystem> {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const github = stack.use(await startGitHubStub(credentials.stub));
  const system = stack.use(
    await startSystem({
      ...{ redisUrl, githubUrl: github.url, credentials, dispatchers },
      env: { ...UNHURRIED, RUN_START_TIMEOUT: '1s', ...env },
    }),
  );
  const queues = stack.use(openQueues(redisUrl, system.prefix));
  const { receipts } = queues;
  const started = stack.move();
  return {
    ...{ github, credentials, system, queues, receipts },
    post({ repo = 'Altinn/dialogporten', metadata, ...options }) {
      const event = fluxEvent({
        ...options,
        metadata: { dispatch_repo: repo, env: 'at23', revision: ociRevision('at23', repo), ...metadata },
      });
      return postEvent(system.ingests[0]?.eventsUrl ?? '', event, credentials.token);
    },
    ended: (dispatchId, state) =>
      until(`the receipt of ${dispatchId} has ended`, async () => {
        // The state first: what is read after the end is how it ended.
        const found = await receipts.getJobState(dispatchId ?? '');
        const job = await receipts.getJob(dispatchId ?? '');
        const isEnded = state === undefined ? found === 'completed' || found === 'failed' : found === state;
        return job && isEnded ? job : new NotYet(`${found} ${JSON.stringify(job?.data.runs)}`);
      }),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}
