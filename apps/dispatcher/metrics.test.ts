import type { QueueState } from '@flux-dispatch/queue/queue-state';
import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { createDispatcherMetrics } from './metrics.ts';

function state(waiting: number, oldestWaitingSeconds: number): QueueState {
  return { queue: 'dispatch', jobs: { waiting, active: 0, delayed: 0, failed: 0 }, oldestWaitingSeconds };
}

async function valuesOf(registry: Registry): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split('\n');
  const gauges = lines.filter(line => /^flux_dispatch_queue_(?:jobs|oldest)/.test(line));
  return Object.fromEntries(
    gauges.map(line => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
  );
}

const WAITING = 'flux_dispatch_queue_jobs{queue="dispatch",state="waiting"}';
const OLDEST = 'flux_dispatch_queue_oldest_waiting_seconds{queue="dispatch"}';

describe('the gauges of the queues', () => {
  test('are of the moment of the scrape, the first one included', async () => {
    const registry = new Registry();
    let now = state(1, 10);
    createDispatcherMetrics(
      registry,
      async () => [now],
      async () => 1,
    );
    expect(await valuesOf(registry)).toMatchObject({ [WAITING]: 1, [OLDEST]: 10 });
    now = state(2, 20);
    expect(await valuesOf(registry)).toMatchObject({ [WAITING]: 2, [OLDEST]: 20 });
  });

  test('are whole in scrapes at the same time, which look once', async () => {
    const registry = new Registry();
    let looks = 0;
    createDispatcherMetrics(
      registry,
      async () => {
        looks++;
        await new Promise(resolve => setImmediate(resolve));
        return [state(3, 30)];
      },
      async () => 1,
    );
    const scrapes = await Promise.all(Array.from({ length: 20 }, () => valuesOf(registry)));
    for (const scrape of scrapes) expect(scrape).toMatchObject({ [WAITING]: 3, [OLDEST]: 30 });
    expect(looks).toBe(1);
  });

  test('are not there while Redis is away, from the first scrape on', async () => {
    const registry = new Registry();
    let fails = false;
    createDispatcherMetrics(
      registry,
      async () => {
        if (fails) throw new Error('Redis is away');
        return [state(1, 10)];
      },
      async () => 1,
    );
    await valuesOf(registry);
    fails = true;
    expect(await valuesOf(registry)).toEqual({});
  });
});

test('repositories and event types make no more series together than one of them alone', () => {
  const metrics = createDispatcherMetrics(
    new Registry(),
    async () => [],
    async () => 1,
  );
  const series = new Set<string>();
  for (let repo = 0; repo < 60; repo++) {
    for (let type = 0; type < 60; type++) {
      const target = { repo: `Altinn/r${repo}`, event_type: `deploy-${type}` };
      metrics.admit(target);
      series.add(JSON.stringify(metrics.labels(target)));
    }
  }
  // A thousand pairs, and each repository once more with `other`.
  expect(series.size).toBeLessThanOrEqual(1060);
  expect(metrics.labels({ repo: 'ALTINN/r0', event_type: 'deploy-0' })).toEqual({
    repo: 'Altinn/r0',
    event_type: 'deploy-0',
  });
});
