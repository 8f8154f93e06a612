import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from './find-on-path.ts';
import { freePort } from './free-port.ts';
import { lifeline } from './lifeline.ts';
import { untilRedisReady } from './redis-ready.ts';
import type { ControllableRedis, ServerSettings } from './test-redis.ts';

const LOG_TAIL_CHARACTERS = 2000;

/** A program that speaks Redis: its name and its absolute path. */
export interface ServerProgram {
  readonly name: 'redis-server' | 'valkey-server';
  readonly file: string;
}

/** Looks in the folders of a `PATH` for a server to start. Throws where there is none. */
export async function findServerProgram(path: string): Promise<ServerProgram> {
  for (const name of ['redis-server', 'valkey-server'] as const) {
    const file = await findOnPath(name, path);
    if (file !== undefined) return { name, file };
  }
  throw new Error('the PATH has neither');
}

/** What the demo and the tests ask of every server: it keeps what it has been given, as in production. */
export function serverFlags({ appendfsync = 'everysec', args = [] }: ServerSettings): readonly string[] {
  const settings = { appendonly: 'yes', appendfsync, save: '', 'maxmemory-policy': 'noeviction' };
  return [...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]), ...args];
}

/**
 * Starts a server on a free port of 127.0.0.1, with its data in a temporary folder. Neither outlives this process,
 * however it ends. Throws, with the end of the server's log, when it does not come up.
 */
export async function startRedisServer(
  program: ServerProgram,
  settings: ServerSettings,
): Promise<ControllableRedis> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-redis-'));
  stack.use(lifeline('rm', '-rf', folder));
  // Tried again, since a rewrite of the append-only file that has just been killed may still be putting one there.
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const logFile = join(folder, 'server.log');
  // Sentinel does not start without a file of its own, and CONFIG REWRITE after a failover needs one too.
  const configFile = join(folder, 'server.conf');
  await writeFile(configFile, '');

  const listen = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder];
  const command = [configFile, ...listen, ...serverFlags(settings)];

  let running: RunningServer | undefined;
  const kill = async () => {
    await running?.kill();
    running = undefined;
  };
  const start = async () => {
    if (running) throw new Error(`The Redis at ${url} already runs: kill it before it is started again`);
    running = await runServer(program.file, command, logFile);
    const log = async () => (await readFile(logFile, 'utf8')).slice(-LOG_TAIL_CHARACTERS);
    await untilRedisReady({ url, ended: running.ended, log });
  };
  stack.defer(kill);
  await start();

  const acquired = stack.move();
  return {
    url,
    env: { REDIS_URL: url },
    origin: program.name,
    control: {
      pause: async () => running?.signal('SIGSTOP'),
      resume: async () => running?.signal('SIGCONT'),
      kill,
      start,
    },
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}

interface RunningServer {
  readonly ended: Promise<unknown>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  kill(): Promise<void>;
}

async function runServer(file: string, args: readonly string[], logFile: string): Promise<RunningServer> {
  await using log = await open(logFile, 'a');
  // A process group of its own: Ctrl-C must not take Redis from under the processes that are shutting down in order.
  const child = spawn(file, args, { stdio: ['ignore', log.fd, log.fd], detached: true });
  const pid = await pidOf(child);
  const group = -pid;
  const orphan = lifeline('kill', '-9', `${group}`);
  const ended = once(child, 'exit').then(() => orphan[Symbol.dispose]());
  return {
    ended,
    signal: signal => child.kill(signal),
    kill: async () => {
      // With the group goes the child that may be rewriting the append-only file.
      if (child.exitCode === null && child.signalCode === null) process.kill(group, 'SIGKILL');
      await ended;
    },
  };
}

async function pidOf(child: ChildProcess): Promise<number> {
  if (child.pid === undefined) throw (await once(child, 'error'))[0];
  return child.pid;
}
