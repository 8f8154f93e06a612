import { findMisspelt } from '@flux-dispatch/runtime/misspelt';

/** A Redis for the demo or for tests. Disposing it leaves neither a process nor a file; one of `REDIS_URL` is left alone. */
export interface TestRedis extends AsyncDisposable {
  /** With the password in it, if it has one: what a client needs that reads neither a password file nor a CA file. */
  readonly url: string;
  /** The variables with which a process of flux-dispatch reaches it. */
  readonly env: Readonly<Record<string, string>>;
  readonly origin: 'REDIS_URL' | 'testcontainers' | 'redis-server' | 'valkey-server';
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

/** Receives one line before something is downloaded or installed. */
export type Note = (line: string) => void;

/** The variables that name a Redis which runs already. */
export interface RedisEnvironment {
  readonly REDIS_URL?: string | undefined;
  readonly REDIS_PASSWORD_PATH?: string | undefined;
  readonly REDIS_CA_PATH?: string | undefined;
}

const VARIABLES = ['REDIS_URL', 'REDIS_PASSWORD_PATH', 'REDIS_CA_PATH'] as const;

/**
 * The part of an environment that names a Redis.
 * @throws where a name looks like a misspelling of one of its variables: another Redis would be used instead
 */
export function redisEnvironment(env: NodeJS.ProcessEnv): RedisEnvironment {
  const [misspelt] = findMisspelt(Object.keys(env), VARIABLES);
  if (misspelt) throw new Error(`${misspelt.name} is not known: did you mean ${misspelt.meant}?`);
  return Object.fromEntries(VARIABLES.map(name => [name, env[name]]));
}
