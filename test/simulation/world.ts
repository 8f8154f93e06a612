import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sign } from '@flux-dispatch/event/signature';
import type { FaultRule } from '@flux-dispatch/github-stub/faults';
import { type GitHubStub, startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, type IngestAnswer, postSigned } from '@flux-dispatch/testbed/flux';
import { type Dispatcher, type Ingest, type System, startSystem } from '@flux-dispatch/testbed/system';
import type { ControllableRedis } from '@flux-dispatch/testbed/test-redis';
import { NotYet, until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import type { ModelSettings } from './model.ts';
import type { Mood, Post, Settings } from './steps.ts';

const CLOCK = pathToFileURL(join(import.meta.dirname, 'skewed-clock.mjs')).href;

/** As far as the model has to know them. DEPENDENCY_GRACE is short, as it really passes. */
export const LIMITS = {
  keepMs: 2 * 3_600_000,
  ttlMs: 30 * 86_400_000,
  graceMs: 1500,
  rateLimitMs: 3_600_000,
} satisfies Omit<ModelSettings, 'maxStreams'>;

/** The real processes, with a stand-in for GitHub, for one history. */
export interface World extends AsyncDisposable {
  readonly github: GitHubStub;
  /** Posts until there is an answer. `certain` is false where an earlier try had none, or there were two at once. */
  post(post: Post): Promise<{ answer: IngestAnswer; certain: boolean }>;
  /** Makes all that Redis remembers so much older. */
  pass(ms: number): Promise<void>;
  setGitHub(mood: Mood): void;
  /** Whether no dispatcher is at work on a dispatch. */
  isIdle(): Promise<boolean>;
  /** Resolves when another replica has taken its place. */
  stop(app: 'ingest' | 'dispatcher', signal: NodeJS.Signals): Promise<void>;
  /** Kills Redis and starts it again. Resolves when it answers. */
  restartRedis(): Promise<void>;
  /** Waits until nothing waits to be sent. */
  settle(): Promise<void>;
}

const MOODS: Readonly<Record<Mood, readonly FaultRule['action'][]>> = {
  well: [],
  slow: [{ latencyMs: 300 }],
  away: [{ status: 503 }],
  overloaded: [{ latencyMs: 300 }, { status: 503 }],
  limiting: [{ status: 429, headers: { 'retry-after': '1' } }],
  proxied: [{ status: 200, body: '<html>Sign in</html>' }],
};

export async function startWorld(server: ControllableRedis, settings: Settings): Promise<World> {
  const redisUrl = server.url;
  await using stack = new AsyncDisposableStack();
  const credentials: Credentials = stack.use(await createCredentials());
  const github = stack.use(await startGitHubStub(credentials.stub));
  const prefix = `{simulation-${randomUUID()}}`;
  const redis = stack.adopt(new Redis(redisUrl), redis => redis.disconnect());
  // It is killed now and then, and ioredis connects again.
  redis.on('error', () => undefined);
  const system: System = stack.use(
    await startSystem({
      ...{ redisUrl, githubUrl: github.url, credentials, prefix, ingests: 0, dispatchers: 0 },
      env: { DISPATCH_RATE: 'off', QUEUE_TIMEOUT: '10s', DISPATCH_TIMEOUT: '20s', RUN_RECEIPTS: 'off' },
    }),
  );
  const clock = (seconds: number) => ({ NODE_OPTIONS: `--import ${CLOCK}`, SIMULATED_CLOCK_S: `${seconds}` });
  const startIngest = (seconds: number) =>
    system.startIngest({
      ...clock(seconds),
      DEDUP_MAX_ENTRIES: `${settings.DEDUP_MAX_ENTRIES}`,
      DEPENDENCY_GRACE: `${LIMITS.graceMs}ms`,
    });
  const startDispatcher = (seconds: number) => system.startDispatcher(clock(seconds));
  const ingests: Ingest[] = await Promise.all(settings.ingestClocks.map(startIngest));
  const dispatchers: Dispatcher[] = await Promise.all(settings.dispatcherClocks.map(startDispatcher));
  let turn = 0;
  let restarts = 0;
  const nextIngest = () => ingests[turn++ % ingests.length]?.eventsUrl ?? '';

  const acquired = stack.move();
  return {
    github,
    async post({ event, delivery }) {
      const { timestamp, ...rest } = event;
      const body = fluxEvent({
        ...rest,
        timestamp: timestamp === undefined ? null : new Date(timestamp * 1000),
      });
      const signature = sign(body, Buffer.from(credentials.token));
      const attempt = () => postSigned(nextIngest(), body, signature);
      let certain = delivery === 'once';
      // Whether an answer that does not arrive was one, Flux cannot know.
      if (delivery === 'lost') await attempt().catch(() => undefined);
      const both = delivery === 'both' ? attempt().catch(() => undefined) : undefined;
      const answer = await until('ingest answers', async () => {
        const given = await attempt().catch((error: Error) => new NotYet(error.message));
        if (!(given instanceof NotYet) && given.status < 500) return given;
        certain = false;
        return given instanceof NotYet ? given : new NotYet(JSON.stringify(given.body));
      });
      const other = await both;
      const first = other?.body.outcome === 'enqueued' ? other : answer;
      return { answer: first, certain };
    },
    async pass(ms) {
      await age(redis, prefix, ms);
    },
    setGitHub(mood) {
      const match = { method: 'POST', path: '/repos/' } as const;
      github.setFaults(MOODS[mood].map(action => ({ match, action })));
    },
    isIdle: async () => (await redis.llen(`${prefix}:dispatch:active`)) === 0,
    async restartRedis() {
      await server.control.kill();
      await server.control.start();
    },
    async stop(app, signal) {
      const index = restarts++ % 2;
      const running = app === 'ingest' ? ingests : dispatchers;
      const { process } = running[index] ?? { process: undefined };
      process?.signal(signal);
      await process?.exited;
      if (app === 'ingest') ingests[index] = await startIngest(settings.ingestClocks[index] ?? 0);
      else dispatchers[index] = await startDispatcher(settings.dispatcherClocks[index] ?? 0);
    },
    async settle() {
      const key = (name: string) => `${prefix}:dispatch:${name}`;
      const left = async () => {
        // At one instant, or a job that moves from one to another meanwhile is in neither.
        const counts = await redis
          .multi()
          .llen(key('wait'))
          .llen(key('active'))
          .zcard(key('delayed'))
          .zcard(key('prioritized'))
          .exec();
        return (counts ?? []).reduce((sum, [, count]) => sum + Number(count), 0);
      };
      await until('nothing waits to be sent', async () => (await left()) === 0, 120_000);
    },
    async [Symbol.asyncDispose]() {
      await acquired.disposeAsync();
      const cleaner = new Redis(redisUrl);
      for await (const keys of cleaner.scanStream({ match: `${prefix}:*`, count: 1000 })) {
        if (keys.length > 0) await cleaner.unlink(keys);
      }
      cleaner.disconnect();
    },
  };
}

/** What expires comes so much nearer to it, and what was seen was seen so much earlier. */
const AGE = `
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':dispatch:*')) do
  local ttl = redis.call('PTTL', key)
  if ttl >= 0 and not string.find(key, ':lock$') and not string.find(key, ':limiter') then
    if ttl > tonumber(ARGV[2]) then redis.call('PEXPIRE', key, ttl - ARGV[2]) else redis.call('DEL', key) end
  end
end
for _, index in ipairs({ 'streams', 'objects', 'delivered' }) do
  local key = ARGV[1] .. ':dispatch:' .. index
  for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, -ARGV[2], member) end
end`;

async function age(redis: Redis, prefix: string, ms: number): Promise<void> {
  // The braces of the prefix are literals to KEYS.
  await redis.eval(AGE, 0, prefix, ms);
}
