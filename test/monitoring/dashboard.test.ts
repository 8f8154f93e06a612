import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportedMetrics } from './exported-metrics.ts';
import { type Panel, readDashboard, thresholdsOf } from './grafana.ts';

const RUNBOOK = join(import.meta.dirname, '../../docs/operations.md');
const RULES = join(import.meta.dirname, '../../helm/files/alerts.yaml');

const { uid, panels, templating } = await readDashboard();
const shown = panels.filter(({ type }) => type !== 'row');
const queries = shown.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const sectionsOf = ({ links = [] }: Panel) => links.map(({ url }) => url.split('#')[1] ?? '');

test('has its uid and its panels', () => {
  expect(uid).toBe('flux-dispatch');
  expect(shown.length).toBeGreaterThan(20);
});

test('every metric in it is one that a process exports', async () => {
  // These two are made by Prometheus itself.
  const exported = new Set(['up', 'ALERTS', ...[...(await exportedMetrics()).values()].flat()]);
  const named = new Set(queries.flatMap(query => [...query.matchAll(/(\w+)\{/g)].map(([, name]) => name)));
  expect([...named].filter(name => !exported.has(name ?? ''))).toEqual([]);
});

test('every metric of flux-dispatch is in it', async () => {
  const own = [...(await exportedMetrics())].filter(([name]) => name.startsWith('flux_dispatch_'));
  expect(own.length).toBeGreaterThan(10);
  const text = queries.join('\n');
  const missing = own.filter(([, series]) => !series.some(name => text.includes(`${name}{`)));
  expect(missing.map(([name]) => name)).toEqual([]);
});

test('every query selects the installation of its variable', () => {
  for (const query of queries.filter(query => !query.includes('ALERTS{'))) {
    const selectors = query.match(/\{[^}]*\}/g);
    expect.soft(selectors?.length, query).toBeGreaterThan(0);
    for (const selector of selectors ?? []) expect.soft(selector, query).toMatch(/\bjob=~?"\$release-/);
  }
});

test('every panel says what is healthy, and in which section of the runbook to read on', async () => {
  const headings = (await readFile(RUNBOOK, 'utf8')).matchAll(/^#+ (.+)$/gm);
  // As GitHub makes its anchors.
  const anchors = [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const panel of shown) {
    const { title, description = '', links = [] } = panel;
    expect.soft(description, title).toMatch(/^Healthy: /);
    expect.soft(anchors, title).toEqual(expect.arrayContaining(sectionsOf(panel)));
    expect.soft(links.length, title).toBeGreaterThan(0);
    for (const { url } of links) {
      expect.soft(url, title).toMatch(/^\$\{runbook\}#/);
      expect.soft(description, title).toContain(`](${url})`);
    }
  }
  const runbook = templating.list.find(({ name }) => name === 'runbook');
  expect(runbook).toMatchObject({
    type: 'constant',
    query: expect.stringMatching(/\/docs\/operations\.md$/),
  });
});

test('the panels on top count over the same time as their alerts, and change colour at the same limits', async () => {
  const [, ...rules] = (await readFile(RULES, 'utf8')).split('- alert: ');
  const limits = new Map(
    rules.map(rule => [
      /^\w+/.exec(rule)?.[0].toLowerCase() ?? '',
      {
        // The last one: what stands before it belongs to a condition of the alert.
        limit: Number([...rule.matchAll(/(?:[<>]=?|==) (\d+)/g)].at(-1)?.[1]),
        ranges: [...new Set(rule.match(/\[\d+[mh]\]/g))],
      },
    ]),
  );
  const stats = shown.filter(({ type }) => type === 'stat');
  const checked = new Set<string>();
  for (const panel of stats) {
    const values = (panel.targets ?? []).flatMap(target =>
      thresholdsOf(panel, target).map(({ value }) => value),
    );
    for (const section of sectionsOf(panel)) {
      const alert = limits.get(section);
      if (alert === undefined) continue;
      checked.add(section);
      const asked = panel.targets?.map(({ expr }) => expr).join();
      for (const range of alert.ranges) expect.soft(asked, panel.title).toContain(range);
      const { limit } = alert;
      // Grafana's step is "at least", and the alert's may be "more than", of what is mostly counted in whole numbers.
      const agrees = values.some(value => value !== null && limit <= value && value <= limit + 1);
      expect.soft(agrees, `${panel.title}: ${values}, ${section}: ${limit}`).toBe(true);
    }
  }
  // Of one repository, which has its place further down.
  expect([...limits.keys()].filter(name => !checked.has(name))).toEqual(['fluxdispatchrepositoryfailing']);
});

test('an alert has the same colour in the list as where they are counted', () => {
  const count = shown.find(({ title }) => title === 'Alerts that fire');
  const counted = (count?.targets ?? []).map(target => [
    target.legendFormat,
    count && thresholdsOf(count, target).at(-1)?.color,
  ]);
  const list = shown.find(({ title }) => title === 'Which alerts fire, and since when');
  const [mapping] = list?.fieldConfig?.defaults.mappings ?? [];
  const listed = Object.values(mapping?.options ?? {}).map(({ text, color }) => [text, color]);
  expect(Object.fromEntries(listed)).toEqual({ quiet: 'green', ...Object.fromEntries(counted) });
});

test('every panel has an id and a place of its own', () => {
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const [index, a] of panels.entries()) {
    expect.soft(a.gridPos.x + a.gridPos.w, a.title).toBeLessThanOrEqual(24);
    for (const b of panels.slice(index + 1)) {
      expect.soft(overlap(a, b), `${a.title} over ${b.title}`).toBe(false);
    }
  }
});

function overlap({ gridPos: a }: Panel, { gridPos: b }: Panel): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}
