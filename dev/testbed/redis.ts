import { once } from 'node:events';
import { connect } from 'node:net';
import { installRedisServer } from './apt.ts';
import { REDIS_IMAGE, startRedisContainer } from './redis-container.ts';
import { findServerProgram, type ServerProgram, startRedisServer } from './redis-server.ts';

const REACHED_WITHIN_MS = 2000;

/** A Redis for the demo or for tests. Disposing it leaves neither a process nor a file; one of `REDIS_URL` is left alone. */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  readonly origin: 'REDIS_URL' | 'testcontainers' | ServerProgram['name'];
  /** Only where it was started here. */
  readonly control?: RedisControl;
}

export interface ControllableRedis extends TestRedis {
  readonly control: RedisControl;
}

/** Does to a Redis what a test wants to see survived. */
export interface RedisControl {
  /** Connections stay open and nothing is answered, until `resume`. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** SIGKILL: what was not yet on disk is lost (see `appendfsync`). Connections to its port are refused from then on. */
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port and with what it had on disk. Resolves when it answers. */
  start(): Promise<void>;
}

/** How a server is started. It has an append-only file and does not evict, as Redis must in production. */
export interface ServerSettings {
  /** When writes reach the disk. Default `everysec`: a killed Redis may forget its last second. */
  readonly appendfsync?: 'always' | 'everysec' | undefined;
  /** Further command-line arguments, for example `['--replicaof', '127.0.0.1', '6380']`. */
  readonly args?: readonly string[] | undefined;
}

export interface RedisOptions extends ServerSettings {
  /** `REDIS_URL` of the environment. Used before anything else, as it is: `ServerSettings` do not apply to it. */
  readonly redisUrl?: string | undefined;
  /** `PATH` of the environment: where `redis-server`, `valkey-server` and `apt-get` are looked for. */
  readonly path: string | undefined;
  /** Whether `control` is needed. A Redis of `REDIS_URL` is then not used, since it may be somebody else's too. */
  readonly controllable?: boolean | undefined;
  /** The ways of starting one that may be used. Default: all. */
  readonly ways?: readonly Way[] | undefined;
  /** Told, in one line, before something is downloaded or installed. Default: standard error. */
  readonly note?: Note | undefined;
}

export type Note = (line: string) => void;

/** The ways of starting a Redis, in the order in which they are tried. */
export const WAYS = ['testcontainers', 'PATH', 'apt-get'] as const;
export type Way = (typeof WAYS)[number];

const WHAT_TO_DO = {
  REDIS_URL: 'set REDIS_URL to a Redis that runs',
  testcontainers: `start Docker, with the image ${REDIS_IMAGE} or able to pull it`,
  PATH: 'put redis-server or valkey-server on the PATH',
  'apt-get': 'be root on Debian or Ubuntu, and redis-server is installed with apt-get',
} as const satisfies Record<Way | 'REDIS_URL', string>;

/**
 * A real Redis: that of `redisUrl` if given, else one started in a container, from the PATH, or once installed.
 *
 * Throws where `redisUrl` is given and not reached, rather than to use another one than was asked for; and where no way
 * is possible, an AggregateError that says for each of them what would make it possible, and why it was not.
 */
export function acquireRedis(options: RedisOptions & { controllable: true }): Promise<ControllableRedis>;
export function acquireRedis(options: RedisOptions): Promise<TestRedis>;
export async function acquireRedis(options: RedisOptions): Promise<TestRedis> {
  const { redisUrl, path = '', controllable = false, ways = WAYS, note = toStandardError } = options;
  if (redisUrl && !controllable) return givenRedis(redisUrl);

  const start: Record<Way, () => Promise<TestRedis>> = {
    testcontainers: () => startRedisContainer(options, note),
    PATH: async () => startRedisServer(await findServerProgram(path), options),
    'apt-get': async () => startRedisServer(await installRedisServer(path, note), options),
  };
  const given = async () => {
    throw new Error(redisUrl ? 'it is set, but one that can be killed is needed here' : 'it is not set');
  };
  const started = WAYS.filter(way => ways.includes(way)).map(way => [way, start[way]] as const);
  return firstPossible([['REDIS_URL', given], ...started]);
}

/** Tries one way after another. Throws an AggregateError with the reason of each where none succeeds. */
export async function firstPossible<T>(
  attempts: readonly (readonly [way: keyof typeof WHAT_TO_DO, attempt: () => Promise<T>])[],
): Promise<T> {
  const failures: Error[] = [];
  for (const [way, attempt] of attempts) {
    try {
      return await attempt();
    } catch (cause) {
      failures.push(new Error(`${WHAT_TO_DO[way]}: ${(cause as Error).message}`, { cause }));
    }
  }
  const list = failures.map(failure => `\n- ${failure.message}`).join('');
  throw new AggregateError(
    failures,
    `There is no Redis to use. Do one of these, none of which was possible:${list}`,
  );
}

async function givenRedis(url: string): Promise<TestRedis> {
  // Where the Redis behind a Sentinel is, only a client that speaks Sentinel can tell.
  if (!url.startsWith('redis-sentinel://')) await reach(url);
  return { url, origin: 'REDIS_URL', async [Symbol.asyncDispose]() {} };
}

/** Only the connection is tried: the password and the CA may be in files of their own. */
async function reach(redisUrl: string): Promise<void> {
  const url = URL.parse(redisUrl);
  // Quoted nowhere as a whole: it may have a password.
  if (!url?.hostname) throw new Error('REDIS_URL must be like redis://localhost:6379');
  const port = Number(url.port || 6379);
  const socket = connect({ host: url.hostname.replace(/^\[|\]$/g, ''), port });
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(REACHED_WITHIN_MS) });
  } catch (cause) {
    throw new Error(
      `REDIS_URL is set, and nothing answers on ${url.hostname}:${port} (${(cause as Error).message}). ` +
        'Start that Redis, or unset REDIS_URL to have one started',
      { cause },
    );
  } finally {
    socket.destroy();
  }
}

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
