import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { until } from '@flux-dispatch/testbed/until';
import { Redis } from 'ioredis';
import { expect, inject, test } from 'vitest';

const run = promisify(execFile);

/** The demo as a process of its own, with what it has written so far, line by line. */
function startDemo(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    env: { PATH: inject('path'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', line => lines.push(line));
  createInterface(child.stderr).on('line', line => lines.push(line));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    lines,
    ended,
    interrupt: () => child.kill('SIGINT'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Has bash run a command as it was printed, and returns the status that curl shows. */
async function statusOf(command: string): Promise<number> {
  const { stdout } = await run('bash', ['-c', command]);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(stdout)?.[1]);
}

test('the commands to try more work as printed, and Ctrl-C leaves nothing behind', async () => {
  await using redis = await acquireRedis({ path: inject('path'), controllable: true });
  await using demo = startDemo({ REDIS_URL: redis.url });
  await until('the demo is up', () => demo.lines.includes('Press Ctrl-C to stop.'), 50_000);
  const commands = demo.lines.flatMap(line => /^ {2}(curl .+)$/.exec(line)?.[1] ?? []);
  const github = demo.lines.flatMap(
    line => /^Dispatches and runs at GitHub +(\S+)$/.exec(line)?.[1] ?? [],
  )[0];
  const board = demo.lines.flatMap(line => /^Board with the queues +(\S+)/.exec(line)?.[1] ?? [])[0];
  const received = async () => {
    const answer = await fetch(`${github}/_stub/dispatches`);
    const { dispatches } = (await answer.json()) as {
      dispatches: { client_payload: { kustomization_name: string } }[];
    };
    return dispatches.map(({ client_payload }) => client_payload.kustomization_name);
  };
  const answeredWith = async (status: number): Promise<number> => {
    const answer = await fetch(`${github}/_stub/requests`);
    const { counts } = (await answer.json()) as { counts: Record<string, number> };
    return counts[`POST /repos/{owner}/{repo}/dispatches ${status}`] ?? 0;
  };
  const deadLetters = async (): Promise<number> => {
    const answer = await fetch(`${board}/api/queues?activeQueue=dispatch-dead-letter&status=failed&page=1`);
    const { queues } = (await answer.json()) as { queues: { name: string; counts: { failed: number } }[] };
    return queues.find(({ name }) => name === 'Dead letters')?.counts.failed ?? 0;
  };
  const [deploy, down, delayed, up, gone, failed, back, retry, ...others] = commands as [
    ...[string, string, string, string, string, string, string, string],
  ];
  expect(others).toEqual([]);

  expect(await statusOf(deploy)).toBe(202);
  expect(await statusOf(deploy)).toBe(200);
  await until('the deploy is at GitHub', async () => (await received()).includes('try-more-deploy'));

  expect(await statusOf(down)).toBe(204);
  expect(await statusOf(delayed)).toBe(202);
  await until('it has been retried', async () => (await answeredWith(503)) >= 2);
  expect(await statusOf(up)).toBe(204);
  await until('the retried one is at GitHub', async () => (await received()).includes('try-more-delayed'));

  expect(await statusOf(gone)).toBe(204);
  expect(await statusOf(failed)).toBe(202);
  await until('there is a dead letter', async () => (await deadLetters()) === 1);
  expect(await statusOf(back)).toBe(204);
  expect(await statusOf(retry)).toBeLessThan(300);
  await until('the dead letter is at GitHub', async () => (await received()).includes('try-more-failed'));

  demo.interrupt();
  expect(await demo.ended).toBe(0);
  const client = new Redis(redis.url);
  expect(await client.dbsize()).toBe(0);
  client.disconnect();
  for (const url of [github, board]) await expect(fetch(`${url}/`)).rejects.toThrow();
}, 120_000);

test('a Redis that cannot be used ends it before anything starts, with the reason', async () => {
  await using demo = startDemo({ REDIS_URL: 'redis://:secret@127.0.0.1:1' }, '--once');
  expect(await demo.ended).toBe(1);
  expect(demo.lines).toEqual([
    'The demo failed: REDIS_URL is set, but nothing listens on 127.0.0.1:1. ' +
      'Correct it, or unset REDIS_URL to have a Redis started',
  ]);
});
