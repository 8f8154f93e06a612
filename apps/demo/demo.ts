import { sign } from '@flux-dispatch/event/signature';
import { listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { type IngestAnswer, postEvent } from '@flux-dispatch/testbed/flux';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { nextDeploy, type Step, story } from './story.ts';
import { table } from './table.ts';

export interface DemoOptions {
  readonly redisUrl: string | undefined;
  readonly path: string | undefined;
  /** End after the story, rather than stay up. */
  readonly once: boolean;
  /** Aborted by Ctrl-C. */
  readonly interrupted: AbortSignal;
  readonly print: (line: string) => void;
}

/** What the stand-in for GitHub lists of a dispatch. */
interface Received {
  readonly owner: string;
  readonly repo: string;
  readonly event_type: string;
  readonly client_payload: { readonly dispatch_id: string };
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
  const received = async () => {
    const response = await fetch(`${githubUrl}/_stub/dispatches`, { signal: interrupted });
    return ((await response.json()) as { dispatches: Received[] }).dispatches;
  };

  const told: { step: Step; answer: IngestAnswer }[] = [];
  for (const step of story(new Date())) {
    told.push({ step, answer: await postEvent(eventsUrl, step.body, credentials.token) });
  }
  const wanted = told.filter(({ step }) => step.expected.dispatched).length;
  const dispatches = await until(
    'GitHub has received the dispatches',
    async () => {
      interrupted.throwIfAborted();
      const list = await received();
      return list.length >= wanted && list;
    },
    30_000,
  ).catch(error => {
    print(`${(error as Error).message}. The dispatcher's log:`);
    for (const line of system.dispatchers[0]?.process.stdout ?? []) print(line);
    return received();
  });

  const results = told.map(({ step, answer }) => tell(step, answer, dispatches));
  print('');
  print(
    table([
      ['', 'What Flux sent', 'What ingest answered', 'What GitHub received'],
      ...results.map(({ row }) => row),
    ]),
  );
  print('');
  const good = results.every(({ asExpected }) => asExpected) && dispatches.length === wanted;
  print(
    good
      ? `All went as it should: ${told.length} events, ${dispatches.length} dispatches.`
      : `NOT as it should be: ${wanted} dispatches were expected, GitHub received ${dispatches.length}.`,
  );
  if (options.once) return good;

  const body = nextDeploy(new Date());
  print(`
Dispatches that GitHub received   ${githubUrl}
Board with the queues             ${board.url} (BOARD_AUTH=none: open to this machine alone)
Metrics and probes                ${ingestOps}/metrics (ingest), ${dispatcherOps}/metrics (dispatcher), ${board.opsUrl}/metrics (board)
Redis                             ${redis.origin === 'REDIS_URL' ? 'that of REDIS_URL' : `${redis.url} (${redis.origin})`}

Send one more deploy yourself; the second time it is a duplicate:

  curl -i ${eventsUrl} -H 'X-Signature: ${sign(body, Buffer.from(credentials.token))}' -d '${body}'

See it retried when GitHub is down (then DELETE the faults again):

  curl -X PUT ${githubUrl}/_stub/faults -H 'Content-Type: application/json' -d '[{"action":{"status":503}}]'

With 404 in the place of 503 it becomes a dead letter, which Retry on the board sends again.

Ctrl-C ends it.`);
  await new Promise(resolve => interrupted.addEventListener('abort', resolve, { once: true }));
  print('\nStopping …');
  return good;
}

function tell({ title, expected }: Step, { status, body }: IngestAnswer, dispatches: readonly Received[]) {
  const received =
    body.outcome === 'enqueued'
      ? dispatches.filter(({ client_payload }) => client_payload.dispatch_id === body.dispatch_id)
      : [];
  const asExpected =
    status === expected.status &&
    body.outcome === expected.outcome &&
    received.length === (expected.dispatched ? 1 : 0);
  const arrived = received.map(({ owner, repo, event_type }) => `${event_type} → ${owner}/${repo}`);
  const row = [
    asExpected ? '✓' : '✗',
    title,
    `${status} ${body.outcome}`,
    arrived.join(', ') || (expected.dispatched ? 'nothing, and should have' : 'nothing'),
  ];
  return { row, asExpected };
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
