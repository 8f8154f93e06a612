import { expect, test } from 'vitest';
import { boundedLabel, createRegistry } from './metrics.ts';

test('a label value is other until it is admitted, and past the bound for good', () => {
  const repos = boundedLabel(2);
  expect(repos.label('Altinn/a')).toBe('other');

  for (const repo of ['Altinn/a', 'Altinn/a', 'Altinn/b', 'Altinn/c']) repos.admit(repo);
  expect(['Altinn/a', 'Altinn/b', 'Altinn/c'].map(repos.label)).toEqual(['Altinn/a', 'Altinn/b', 'other']);
});

test('names that ignore case are one series, in the spelling that came first', () => {
  const repos = boundedLabel(2, repo => repo.toLowerCase());
  for (const repo of ['Altinn/a', 'ALTINN/A', 'altinn/b']) repos.admit(repo);
  expect(['altinn/A', 'Altinn/B'].map(repos.label)).toEqual(['Altinn/a', 'altinn/b']);
});

test('a registry has the defaults of the process and its event loop, and says which build it is', async () => {
  const text = await createRegistry({ name: 'flux-dispatch', version: '1.2.3', revision: 'abc' }).metrics();
  expect(text).toContain('flux_dispatch_build_info{version="1.2.3",revision="abc"} 1');
  expect(text).toContain('process_cpu_seconds_total');
  expect(text).toContain('nodejs_eventloop_lag_seconds');
});
