import { createLogger } from '@flux-dispatch/runtime/log';
import { expect, test } from 'vitest';
import { FOR_EVENTS, watchHeadroom } from './headroom.ts';

const MIB = 1024 * 1024;

/** A Redis with so much memory in use, in MiB. */
function open(memory: { used: number; max: number; buffers?: number }) {
  const lines: string[] = [];
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line);
    lines.push(`${level} ${msg.split(':')[0]}`);
  };
  const redis = {
    status: 'ready' as const,
    info: async () =>
      [
        '# Memory',
        `used_memory:${memory.used * MIB}`,
        `used_memory_peak:${memory.max * MIB}`,
        `maxmemory:${memory.max * MIB}`,
        'maxmemory_policy:noeviction',
        `mem_not_counted_for_evict:${(memory.buffers ?? 0) * MIB}`,
      ].join('\r\n'),
  };
  return {
    lines,
    memory,
    headroom: watchHeadroom(redis, createLogger('test', 'info', { write }), FOR_EVENTS),
  };
}

test.each([
  ['there is none', { used: 4000, max: 0 }, true],
  ['less than 90 % are used', { used: 89, max: 100 }, true],
  ['90 % are used', { used: 90, max: 100 }, false],
  ['all of it is used', { used: 101, max: 100 }, false],
  ['buffers for replicas make the difference', { used: 95, max: 100, buffers: 10 }, true],
])('room by maxmemory where %s', async (_, memory, room) => {
  const { headroom } = open(memory);
  using _watch = headroom;
  await headroom.look();
  expect(headroom.room()).toEqual(room ? undefined : expect.stringContaining(`of ${memory.max}.0 MiB`));
});

test('what was accepted counts until the next look has found it', async () => {
  const { headroom, memory } = open({ used: 80, max: 100 });
  using _watch = headroom;
  await headroom.look();
  headroom.took({ filler: 'x'.repeat(9 * MIB) });
  expect(headroom.room()).toBeUndefined();
  headroom.took({ filler: 'x'.repeat(2 * MIB) });
  expect(headroom.room()).toBeDefined();
  memory.used = 85;
  await headroom.look();
  expect(headroom.room()).toBeUndefined();
});

test('one log line when Redis is nearly full, and one when it has room again: below 88 %', async () => {
  const { headroom, memory, lines } = open({ used: 80, max: 100 });
  using _watch = headroom;
  for (const used of [80, 91, 92, 89, 90, 91, 87, 89, 80]) {
    memory.used = used;
    await headroom.look();
    headroom.room();
  }
  expect(lines).toEqual(['warn Redis is nearly full', 'info Redis has room again']);
});

test('there is room where INFO is forbidden', async () => {
  const redis = { status: 'ready' as const, info: () => Promise.reject(new Error("NOPERM 'info'")) };
  using headroom = watchHeadroom(redis, createLogger('test', 'fatal'), FOR_EVENTS);
  await headroom.look();
  expect(headroom.room()).toBeUndefined();
});
