import { join } from 'node:path';
import { scenario } from '@flux-dispatch/demo/scenario';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, type TestContext, test } from 'vitest';
import { onPath } from '../support/on-path.ts';
import { type Dashboard, interpolate, readDashboard, thresholdsOf } from './grafana.ts';
import { type Prometheus, type Sample, startPrometheus } from './prometheus-server.ts';

const RULES = join(import.meta.dirname, '../../helm/files/alerts.yaml');

/** What Grafana puts in for these with a Prometheus that scrapes every 15 s, and the dashboard's time range. */
const GRAFANA = { __rate_interval: '60s', __range: '21600s' };

const LATENCIES = ['How long GitHub takes', 'How long ingest takes to answer'];

/** The whole system, and a Prometheus that has scraped each process and evaluates the alerts. */
async function openScraped(context: TestContext) {
  const program = await onPath('prometheus', 'prometheus', context);
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const stub = stack.use(await startGitHubStub(credentials.stub));
  const env = { DISPATCH_RATE: 'off' };
  const system = stack.use(
    await startSystem({ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials, env }),
  );
  const board = await system.startBoard();
  const jobs = {
    'flux-dispatch-ingest': system.ingests[0]?.opsUrl ?? '',
    'flux-dispatch-dispatcher': system.dispatchers[0]?.opsUrl ?? '',
    'flux-dispatch-board': board.opsUrl,
  };
  const prometheus = stack.use(await startPrometheus({ program, rules: [RULES], jobs }));
  // Twice, since an increase has two ends.
  await metricIs(prometheus, 'count(count_over_time(process_start_time_seconds[5m]) >= 2)', 3);
  const opened = stack.move();
  return {
    ...{ stub, prometheus },
    /** Posts an event as Flux does, and returns the outcome. */
    async post(body: Buffer): Promise<string> {
      const answer = await postEvent(system.ingests[0]?.eventsUrl ?? '', body, credentials.token);
      return answer.body.outcome;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function metricIs(prometheus: Prometheus, query: string, wanted: number): Promise<unknown> {
  return until(`${query} is ${wanted}`, async () => (await prometheus.query(query))[0]?.value === wanted);
}

/** A time at which every process had answered: one that is late for once is not what is tested here. */
function whenAllWereUp(prometheus: Prometheus): Promise<number> {
  return until('all are up', async () => {
    const now = Date.now() / 1000;
    return (await prometheus.query('sum(up)', now))[0]?.value === 3 && now;
  });
}

/** The values of the dashboard's variables, found as Grafana finds them. */
async function valuesOf({ templating }: Dashboard, prometheus: Prometheus): Promise<Record<string, string>> {
  const values: Record<string, string> = { ...GRAFANA };
  for (const variable of templating.list) {
    if (variable.type !== 'query') continue;
    const [, series = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(variable.query.query) ?? [];
    const labels = await prometheus.get<string[]>(`label/${label}/values`, { 'match[]': series });
    const pattern = new RegExp(variable.regex.slice(1, -1));
    // Whichever process it comes from: the others may be gone.
    const found = new Set(labels.map(text => pattern.exec(text)?.[1]));
    expect([...found], `the variable ${variable.name}`).toEqual(['flux-dispatch']);
    values[variable.name] = [...found][0] ?? '';
  }
  return values;
}

/** Asks what every panel asks. Each has to have an answer, but for those that are to be `empty`. */
async function askAll(dashboard: Dashboard, prometheus: Prometheus, empty: readonly string[] = []) {
  const values = await valuesOf(dashboard, prometheus);
  const at = await whenAllWereUp(prometheus);
  const answers = dashboard.panels.flatMap(panel =>
    (panel.targets ?? []).map(async target => {
      const query = interpolate(target.expr, values);
      const what = `${panel.title}: ${query}`;
      expect.soft(query, what).not.toContain('$');
      const samples = await prometheus.query(query, at);
      expect.soft(samples.length > 0, what).toBe(!empty.includes(panel.title));
      return { panel, target, what, samples };
    }),
  );
  return Promise.all(answers);
}

type Answers = Awaited<ReturnType<typeof askAll>>;

/** The colours of the panels on top, by title. */
function coloursOf(answers: Answers): readonly (readonly [what: string, colour: string | undefined])[] {
  return answers
    .filter(({ panel }) => panel.type === 'stat')
    .flatMap(({ panel, target, what, samples }) =>
      samples.map(({ value }) => {
        const passed = thresholdsOf(panel, target).filter(step => step.value === null || step.value <= value);
        return [what, passed.at(-1)?.color] as const;
      }),
    );
}

function samplesOf(answers: Answers, title: string): readonly Sample[] {
  return answers.filter(({ panel }) => panel.title === title).flatMap(({ samples }) => samples);
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly name: string;
      readonly state: string;
      readonly health: string;
      readonly lastEvaluation: string;
    }[];
  }[];
}

async function alertsOf(prometheus: Prometheus) {
  return (await prometheus.get<Rules>('rules')).groups.flatMap(({ rules }) => rules);
}

interface Targets {
  readonly activeTargets: readonly { readonly health: string }[];
}

test('a real Prometheus: every alert is evaluated, and every panel answers, on good days and bad ones', async context => {
  await using s = await openScraped(context);
  const { prometheus } = s;
  const dashboard = await readDashboard();
  await until('every target is up', async () => {
    const { activeTargets } = await prometheus.get<Targets>('targets');
    return activeTargets.length === 3 && activeTargets.every(({ health }) => health === 'up');
  });

  // The first day, before any event. If a panel says "No data" then, operators will not trust it later. Latencies are the
  // exception: without events there is none, and 0 s would be wrong.
  await askAll(dashboard, prometheus, LATENCIES);

  // A good day.
  const steps = scenario(new Date(), 'test');
  for (const { title, body, expected } of steps) expect(await s.post(body), title).toBe(expected.outcome);
  const dispatched = steps.filter(({ expected }) => expected.run !== undefined).length;
  await metricIs(prometheus, 'sum(flux_dispatch_dispatches_total)', dispatched);
  await metricIs(prometheus, 'sum(flux_dispatch_events_total)', steps.length);
  const reportedAt = Date.now();
  const alerts = await until('every alert has been evaluated since, and none is near', async () => {
    const all = await alertsOf(prometheus);
    const quiet = all.every(
      ({ lastEvaluation, state }) => Date.parse(lastEvaluation) > reportedAt && state === 'inactive',
    );
    return quiet && all;
  });
  expect(alerts.length).toBeGreaterThan(10);
  expect(alerts.filter(({ health }) => health !== 'ok')).toEqual([]);
  const good = await askAll(dashboard, prometheus);
  for (const [what, colour] of coloursOf(good)) expect.soft(colour, what).toBe('green');
  for (const title of LATENCIES) {
    for (const { value } of samplesOf(good, title)) expect.soft(value, title).toBeGreaterThan(0);
  }
  const delivered = samplesOf(good, 'Delivered');
  expect(delivered.map(({ metric, value }) => [metric['repo'], metric['event_type'], value]).sort()).toEqual([
    ['Altinn/altinn-correspondence', 'flux-deploy', 1],
    ['Altinn/dialogporten', 'flux-deploy', 2],
    ['Altinn/dialogporten', 'flux-deploy-failed', 1],
    ['Altinn/dialogporten', 'flux-deployed', 1],
  ]);

  // A bad one. A counter appears with its first count, which increase() alone does not see.
  // Of a repository that GitHub has accepted dispatches to: any other would be counted as `other`.
  const repo = 'Altinn/dialogporten';
  s.stub.setFaults([{ match: { method: 'POST', repo }, action: { status: 404 } }]);
  const metadata = { dispatch_repo: repo, env: 'at23', revision: ociRevision('at23', 'v1') };
  expect(await s.post(fluxEvent({ metadata }))).toBe('enqueued');
  await metricIs(prometheus, 'sum(flux_dispatch_dead_letters_total)', 1);
  await until('its alert is on its way', async () => {
    const near = (await alertsOf(prometheus)).filter(({ state }) => state !== 'inactive');
    return near.map(({ name }) => name).join() === 'FluxDispatchDeadLetters';
  });
  const bad = await askAll(dashboard, prometheus);
  expect(coloursOf(bad).filter(([, colour]) => colour !== 'green')).toEqual([
    [expect.stringContaining('New dead letters'), 'orange'],
  ]);
  const first = [{ metric: { repo, event_type: 'flux-deploy', error_code: '404' }, value: 1 }];
  expect(samplesOf(bad, 'Given up (dead letters)')).toEqual(first);
  expect(samplesOf(bad, 'Attempts that failed')).toEqual(first);
});
