import { type RunningGitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type DeadLetter, deadLetterSchema } from '@flux-dispatch/queue/dead-letter';
import type { AppProcess } from '@flux-dispatch/testbed/app-process';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { type Ingest, startSystem } from '@flux-dispatch/testbed/system';
import type { RedisControl } from '@flux-dispatch/testbed/test-redis';
import { until } from '@flux-dispatch/testbed/until';
import { type Flux, startFlux } from '../support/flux-client.ts';
import { type Balance, type Ledger, openLedger } from '../support/ledger.ts';
import { openQueues } from '../support/queues.ts';

/** Stalled jobs come back within 45 s; a fault at the very end, and two busy cores, take some more. */
const SETTLED_WITHIN_MS = 150_000;

/** Everything that an event passes through, twice where it may be: Flux, ingest, Redis, dispatcher and GitHub. */
export interface Cluster extends AsyncDisposable {
  readonly flux: Flux;
  readonly github: RunningGitHubStub;
  readonly redis: RedisControl & { configure(setting: string, value: string): Promise<void> };
  readonly credentials: Credentials;
  readonly ledger: Ledger;
  /**
   * Ends the longest-running replica of each app in this way, waits until it is gone, and starts another in its place.
   * Returns the exit codes: null where the signal ended it.
   */
  replace(signal: 'SIGKILL' | 'SIGTERM', ...apps: readonly App[]): Promise<(number | null)[]>;
  /** Resolves when GitHub has received `count` dispatches since this was called. */
  dispatches(count: number): Promise<void>;
  /** Waits until nothing that was accepted is on its way any more, while Flux goes on, and adds it all up. */
  settle(): Promise<Settlement>;
}

type App = 'ingest' | 'dispatcher';

export interface Settlement extends Balance {
  readonly deadLetters: readonly DeadLetter[];
  /** Claims that are held for ever although no job is left: their deployments would never be dispatched again. */
  readonly orphanedClaims: readonly string[];
}

/** @param env variables of every ingest and dispatcher, beside `DISPATCH_RATE=off` */
export async function startCluster(path: string, env: Readonly<Record<string, string>>): Promise<Cluster> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await acquireRedis({ path, controllable: true, appendfsync: 'always' }));
  const credentials = stack.use(await createCredentials());
  const github = stack.use(await startGitHubStub(credentials.stub));
  // Koa would log every request whose sender has been killed.
  github.app.silent = true;
  const system = stack.use(
    await startSystem({
      ...{ redisUrl: redis.url, githubUrl: github.url, credentials, ingests: 2, dispatchers: 2 },
      env: { DISPATCH_RATE: 'off', ...env },
    }),
  );
  const replicas: { ingest: Ingest[]; dispatcher: { process: AppProcess }[] } = {
    ingest: [...system.ingests],
    dispatcher: [...system.dispatchers],
  };
  const ledger = openLedger();
  const addresses = () => replicas.ingest.map(({ eventsUrl }) => eventsUrl);
  const flux = stack.use(startFlux(addresses, credentials.token, ledger));

  const { redis: client, dispatches: queue, deadLetters } = stack.use(openQueues(redis.url, system.prefix));

  const replace = async (signal: 'SIGKILL' | 'SIGTERM', app: App) => {
    const { process } = replicas[app][0] as { process: AppProcess };
    process.signal(signal);
    const { code } = await process.exited;
    // Until here the Service still had the address of the one that is gone.
    if (app === 'ingest') replicas.ingest = [...replicas.ingest.slice(1), await system.startIngest()];
    else replicas.dispatcher = [...replicas.dispatcher.slice(1), await system.startDispatcher()];
    return code;
  };

  const dead = async () => (await deadLetters.getJobs()).map(({ data }) => deadLetterSchema.parse(data));
  const idle = async () => {
    const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'failed', 'prioritized');
    return Object.values(counts).every(count => count === 0);
  };
  // Whatever has not come out when no job is left is lost: a figure, and nothing to wait for.
  const settled = async () => ledger.accepted === flux.deployments && (await idle());

  const acquired = stack.move();
  return {
    ...{ flux, github, credentials, ledger },
    redis: {
      ...redis.control,
      async configure(setting, value) {
        await client.config('SET', setting, value);
      },
    },
    async replace(signal, ...apps) {
      const codes = await Promise.all(apps.map(app => replace(signal, app)));
      ledger.injected();
      return codes;
    },
    async dispatches(count) {
      const before = github.received;
      await until(`GitHub has received ${count} more`, () => github.received >= before + count, 240_000);
    },
    async settle() {
      // What is not settled by then shows in the figures, which say more than a timeout.
      await until('all is accepted, and the queue is empty', settled, SETTLED_WITHIN_MS).catch(
        () => undefined,
      );
      await flux[Symbol.asyncDispose]();
      // What Flux had under way until then.
      await until('the queue is empty', idle, SETTLED_WITHIN_MS).catch(() => undefined);
      const entries = await dead();
      const deadIds = entries.map(({ dispatch_id }) => dispatch_id);
      const claims = await client.keys(`${system.prefix}:dispatch:de:*`);
      const ttls = await Promise.all(claims.map(claim => client.pttl(claim)));
      return {
        ...ledger.balance(github, deadIds),
        deadLetters: entries,
        orphanedClaims: claims.filter((_, index) => (ttls[index] ?? 0) < 0),
      };
    },
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}
