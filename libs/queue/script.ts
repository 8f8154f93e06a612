import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The commands of a connection to Redis that run scripts. */
export interface ScriptConnection {
  eval(lua: string, numberOfKeys: number, ...keysAndValues: (string | number)[]): Promise<unknown>;
  evalsha(sha: string, numberOfKeys: number, ...keysAndValues: (string | number)[]): Promise<unknown>;
}

/** Runs a script with its `KEYS` and `ARGV`. Rejects while Redis is away. */
export type Script<Reply> = (keys: readonly string[], values: readonly (string | number)[]) => Promise<Reply>;

/**
 * A Lua script of this folder, to be run on `redis`. Only its hash is sent; its text follows once, when the server does
 * not have it, as after a restart or a failover.
 * @param files such as `admit.lua`, after the files with the functions that it uses. The first lines of the last say what
 *   the keys, the values and the reply are
 */
export function defineScript<Reply>(redis: ScriptConnection, ...files: [string, ...string[]]): Script<Reply> {
  const lua = files.map(file => readFileSync(join(import.meta.dirname, file), 'utf8')).join('\n');
  const sha = createHash('sha1').update(lua).digest('hex');
  return async (keys, values) => {
    try {
      return (await redis.evalsha(sha, keys.length, ...keys, ...values)) as Reply;
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
      return (await redis.eval(lua, keys.length, ...keys, ...values)) as Reply;
    }
  };
}
