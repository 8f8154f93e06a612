import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findOnPath } from './find-on-path.ts';
import { findServerProgram, type ServerProgram } from './redis-server.ts';
import type { Note } from './test-redis.ts';

const run = promisify(execFile);

const APT_WITHIN_MS = 300_000;

/** Seconds: for a mirror that does not answer, and for another apt-get that has to end first. */
const PATIENCE = ['-o', 'Acquire::http::Timeout=10', '-o', 'DPkg::Lock::Timeout=120'];

/**
 * Left out of what is installed: only the program is wanted, and a service would be started at once, on port 6379, and
 * at every boot. See "--path-exclude" in dpkg(1).
 */
const NO_SERVICE = ['*/systemd/system/redis-server*', '/etc/init.d/redis-server'].flatMap(path => [
  '-o',
  `DPkg::Options::=--path-exclude=${path}`,
]);

/** Installs `redis-server` on Debian or Ubuntu, without its service. Throws where that is not possible. */
export async function installRedisServer(path: string, note: Note): Promise<ServerProgram> {
  if ((await findOnPath('apt-get', path)) === undefined) throw new Error('there is no apt-get on the PATH');
  const uid = process.getuid?.();
  if (uid !== 0) throw new Error(`this runs as user ${uid}, not as root`);

  note('Installing redis-server with apt-get');
  const install = () => aptGet('install', '-y', '--no-install-recommends', ...NO_SERVICE, 'redis-server');
  try {
    await install();
  } catch {
    // The lists of packages may be missing, as in most images, or be so old that their versions are gone. An update
    // also fails for an unrelated source; what counts is whether the package can be installed after it.
    await aptGet('update').catch(() => {});
    await install();
  }
  return findServerProgram('/usr/bin');
}

async function aptGet(...args: readonly string[]): Promise<void> {
  try {
    // `env` adds to the environment that is there, which may have the proxy to be used.
    const command = ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...PATIENCE, ...args];
    await run('env', command, { timeout: APT_WITHIN_MS });
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    throw new Error(stderr?.trim().split('\n').slice(-3).join(' ') || message, { cause: error });
  }
}
