import { sign } from '@flux-dispatch/event/signature';
import { listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { startSystem } from '@flux-dispatch/testbed/system';
import { Redis } from 'ioredis';
import { tellStory } from './run-scenario.ts';
import { nextDeploy } from './scenario.ts';

export interface DemoOptions {
  readonly redisUrl: string | undefined;
  readonly path: string | undefined;
  /** End after the story, rather than stay up. */
  readonly once: boolean;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
  readonly print: (line: string) => void;
}

/**
 * Runs the whole system on this machine as the separate processes that it is, and tells the story of a few events.
 * Leaves no process, file or key behind. Returns whether everything went as the story says.
 */
export async function runDemo(options: DemoOptions): Promise<boolean> {
  const { print, interrupted } = options;
  await using stack = new AsyncDisposableStack();

  print('Starting Redis, a stand-in for GitHub, ingest, dispatcher and board …');
  const redis = stack.use(await acquireRedis(options));
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
  const system = stack.use(await startSystem({ redisUrl: redis.url, githubUrl, credentials }));
  // Only where the Redis is the user's own does anything outlive it.
  if (redis.origin === 'REDIS_URL') stack.defer(() => removeKeys(redis.url, system.prefix));
  stack.defer(() => system.stop());
  const board = await system.startBoard();
  interrupted.throwIfAborted();

  const { eventsUrl, opsUrl: ingestOps } = system.ingests[0] ?? unreachable();
  const { opsUrl: dispatcherOps } = system.dispatchers[0] ?? unreachable();
  const { token } = credentials;
  const { account, good, overdue } = await tellStory({ eventsUrl, token, githubUrl, interrupted });
  if (overdue) {
    print("GitHub has not received what it should have. The dispatcher's log:");
    for (const line of system.dispatchers[0]?.process.stdout ?? []) print(line);
  }
  print(`\n${account}`);
  if (options.once) return good;

  const body = nextDeploy(new Date());
  print(`
Dispatches that GitHub received   ${githubUrl}
Board with the queues             ${board.url} (BOARD_AUTH=none: open to this machine alone)
Metrics and probes                ${ingestOps}/metrics (ingest), ${dispatcherOps}/metrics (dispatcher), ${board.opsUrl}/metrics (board)
Redis                             ${redis.origin === 'REDIS_URL' ? 'that of REDIS_URL' : `${redis.url} (${redis.origin})`}

Send one more deploy yourself; the second time it is a duplicate:

  curl -i ${eventsUrl} -H 'X-Signature: ${sign(body, Buffer.from(token))}' -d '${body}'

See it retried when GitHub is down (then DELETE the faults again):

  curl -X PUT ${githubUrl}/_stub/faults -H 'Content-Type: application/json' -d '[{"action":{"status":503}}]'

With 404 in the place of 503 it becomes a dead letter, which Retry on the board sends again.

Ctrl-C ends it.`);
  await new Promise(resolve => interrupted.addEventListener('abort', resolve, { once: true }));
  print('\nStopping …');
  return good;
}

async function removeKeys(redisUrl: string, prefix: string): Promise<void> {
  const redis = new Redis(redisUrl);
  // The braces are a literal to MATCH; no other character of the prefix is special to it.
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 })) {
    if (keys.length > 0) await redis.unlink(keys);
  }
  redis.disconnect();
}

function unreachable(): never {
  throw new Error('A system has at least one process of each kind');
}
