import { installRedisServer } from './apt.ts';
import { givenRedis } from './given-redis.ts';
import { REDIS_IMAGE, startRedisContainer } from './redis-container.ts';
import { findServerProgram, startRedisServer } from './redis-server.ts';
import type { ControllableRedis, Note, RedisEnvironment, ServerSettings, TestRedis } from './test-redis.ts';

export interface RedisOptions extends ServerSettings {
  /**
   * `REDIS_URL` of the environment, and what belongs to it. Used before anything else, as it is: `ServerSettings` do not
   * apply to it.
   */
  readonly given?: RedisEnvironment | undefined;
  /** Whether `url` alone must lead to it, for clients that know neither Sentinel nor `REDIS_CA_PATH`. */
  readonly urlAlone?: boolean | undefined;
  /** `PATH` of the environment: where `redis-server`, `valkey-server` and `apt-get` are looked for. */
  readonly path: string | undefined;
  /** Whether `control` is needed. A Redis of `REDIS_URL` is then not used, since others may use it too. */
  readonly controllable?: boolean | undefined;
  /** The ways of starting one that may be used. Default: all. */
  readonly ways?: readonly Way[] | undefined;
  /** Default: writes to standard error. */
  readonly note?: Note | undefined;
}

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
 * A real Redis: that of `given`, else one started in a container, from the PATH, or once installed.
 *
 * Throws within a few seconds where the given one cannot be used, and says why: it never uses another one in its place.
 * Throws an AggregateError where no way is possible, with what each of them lacks.
 */
export function acquireRedis(options: RedisOptions & { controllable: true }): Promise<ControllableRedis>;
export function acquireRedis(options: RedisOptions): Promise<TestRedis>;
export async function acquireRedis(options: RedisOptions): Promise<TestRedis> {
  const { given, path = '', controllable = false, ways = WAYS, note = toStandardError } = options;
  if (given?.REDIS_URL && !controllable) return givenRedis(given, { urlAlone: options.urlAlone });

  const start: Record<Way, () => Promise<TestRedis>> = {
    testcontainers: () => startRedisContainer(options, note),
    PATH: async () => startRedisServer(await findServerProgram(path), options),
    'apt-get': async () => startRedisServer(await installRedisServer(path, note), options),
  };
  const cannotUseGiven = async () => {
    throw new Error(
      given?.REDIS_URL ? 'it is set, but one that can be killed is needed here' : 'it is not set',
    );
  };
  const started = WAYS.filter(way => ways.includes(way)).map(way => [way, start[way]] as const);
  return firstPossible([['REDIS_URL', cannotUseGiven], ...started]);
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

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
