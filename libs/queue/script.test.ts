import { randomUUID } from 'node:crypto';
import { createLogger } from '@flux-dispatch/runtime/log';
import { afterAll, afterEach, expect, inject, test } from 'vitest';
import { connectPatient } from './redis.ts';
import { parseRedisUrl } from './redis-url.ts';
import { defineScript, type ScriptConnection } from './script.ts';

const log = createLogger('test', 'silent');
const redis = connectPatient({ REDIS_URL: parseRedisUrl(inject('redisUrl')) ?? {} }, log);
const claim = `script-test:${randomUUID()}`;
afterEach(() => redis.del(claim));
afterAll(() => redis.disconnect());

/** The connection, with the commands that run scripts recorded. `forgetful` asks for a hash that no script has. */
function recorded({ forgetful = false } = {}) {
  const commands: string[] = [];
  const connection: ScriptConnection = {
    eval: (...args) => {
      commands.push('eval');
      return redis.eval(...args);
    },
    evalsha: (sha, ...args) => {
      commands.push('evalsha');
      return redis.evalsha(forgetful ? '0'.repeat(40) : sha, ...args);
    },
  };
  return { commands, connection };
}

const holder = (connection: ScriptConnection) =>
  defineScript<[id: string, state: string] | null>(
    connection,
    'holder.lua',
    'find-holder.lua',
  )([claim, `${claim}:none`, `${claim}:stream`], ['id']);

test('the reply of a script is handed back', async () => {
  expect(await holder(redis)).toBeNull();
  await redis.set(claim, 'job-1');
  expect(await holder(redis)).toEqual(['job-1', 'pending']);
});

test.each([
  ['its hash is sent where the server has it', false, ['evalsha']],
  ['its text follows where the server does not', true, ['evalsha', 'eval']],
])('%s', async (_, forgetful, expected) => {
  await holder(redis);
  await redis.set(claim, 'job-1');
  const { commands, connection } = recorded({ forgetful });
  expect(await holder(connection)).toEqual(['job-1', 'pending']);
  expect(commands).toEqual(expected);
});

test('an error of the script itself is thrown, and the script does not run again', async () => {
  const { commands, connection } = recorded();
  await redis.rpush(claim, 'not a string');
  await holder(redis).catch(() => undefined);
  await expect(holder(connection)).rejects.toThrow(/WRONGTYPE/);
  expect(commands).toEqual(['evalsha']);
});
