import { listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { openGivenRedis } from '@flux-dispatch/testbed/given-redis';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { startSystem } from '@flux-dispatch/testbed/system';
import type { RedisEnvironment } from '@flux-dispatch/testbed/test-redis';
import { runScenario } from './run-scenario.ts';
import { tryMore } from './try-more.ts';

export interface DemoOptions {
  readonly given: RedisEnvironment;
  readonly path: string | undefined;
  /** End after the scenario, rather than stay up. */
  readonly once: boolean;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
  readonly print: (line: string) => void;
}

/**
 * Starts the whole system on this machine as separate processes, runs a scenario of a few events and prints its report.
 * Leaves no process, file or key behind. Returns whether everything happened as the scenario expects.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const { print, interrupted } = options;
  await using stack = new AsyncDisposableStack();

  const redis = stack.use(await acquireRedis(options));
  print('Starting a stand-in for GitHub, ingest, dispatcher and board …');
  const credentials = stack.use(await createCredentials());
  const stub = stack.use(
    spawnApp('github-stub', {
      LISTEN_ADDR: '127.0.0.1:0',
      GITHUB_APP_ID: credentials.appId,
      GITHUB_KEY_PATH: credentials.privateKeyPath,
    }),
  );
  const githubUrl = String((await listening(stub))['url']);
  interrupted.throwIfAborted();
  const system = stack.use(
    await startSystem({
      ...{ redisUrl: redis.url, githubUrl, credentials },
      // Nobody wants to wait ten minutes to see that a dispatch has no workflow run.
      env: { ...redis.env, RUN_START_TIMEOUT: '5s' },
    }),
  );
  // Only where the Redis is the user's own does anything outlive it.
  if (redis.origin === 'REDIS_URL') stack.defer(() => removeKeys(redis.env, system.prefix));
  stack.defer(() => system.stop());
  const board = await system.startBoard();
  interrupted.throwIfAborted();

  const { eventsUrl, opsUrl: ingestOps } = system.ingests[0] ?? unreachable();
  const { opsUrl: dispatcherOps } = system.dispatchers[0] ?? unreachable();
  const { token } = credentials;
  const { report, succeeded, timedOut } = await runScenario({
    ...{ eventsUrl, token, githubUrl, interrupted, boardUrl: board.url },
  });
  if (timedOut) {
    print("Not everything has ended in time. The dispatcher's log:");
    for (const line of system.dispatchers[0]?.process.stdout ?? []) print(line);
  }
  print(`\n${report}`);
  if (options.once) return succeeded;

  const steps = tryMore({ eventsUrl, token, githubUrl, boardUrl: board.url }, new Date());
  print(`
Dispatches and runs at GitHub     ${githubUrl}
Board with the queues             ${board.url} (BOARD_AUTH=none: open to this machine alone)
Metrics and probes                ${ingestOps}/metrics (ingest), ${dispatcherOps}/metrics (dispatcher), ${board.opsUrl}/metrics (board)
Redis                             ${redis.origin === 'REDIS_URL' ? 'that of REDIS_URL' : `${redis.url} (${redis.origin})`}

Try more, in another terminal. Every line that starts with curl is a complete command.
${steps.map(({ title, commands }) => `\n${title}\n\n${commands.map(command => `  ${command}\n`).join('')}`).join('')}
Press Ctrl-C to stop.`);
  await new Promise(resolve => interrupted.addEventListener('abort', resolve, { once: true }));
  print('\nStopping …');
  return succeeded;
}

async function removeKeys(given: RedisEnvironment, prefix: string): Promise<void> {
  const redis = await openGivenRedis(given);
  try {
    // The braces are a literal to MATCH; no other character of the prefix is special to it.
    for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(keys);
    }
  } finally {
    redis.disconnect();
  }
}

function unreachable(): never {
  throw new Error('A system has at least one process of each kind');
}
