import { randomUUID } from 'node:crypto';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { lifeline } from '@flux-dispatch/testbed/lifeline';
import { until } from '@flux-dispatch/testbed/until';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { startFlux } from '../support/flux-client.ts';
import { openLedger } from '../support/ledger.ts';
import { docker, lookAtGitHub, run, setFaults, settle } from './docker.ts';

// The samples of docker-compose.yml.
const TOKEN = 'flux-dispatch-sample-token';
const AUTHORIZATION = `Basic ${Buffer.from('operator:sample-password').toString('base64')}`;

// The default. However bad its end, a dispatcher has no more than this many calls to GitHub under way.
const DISPATCH_CONCURRENCY = 16;

const GONE = 'Altinn/gone';

const project = `flux-dispatch-test-${randomUUID().slice(0, 8)}`;
// Ports that Docker chooses, so that none is in use already. `env` adds to the environment that is there, which may name
// further compose files.
const COMPOSE = [
  ...['INGEST_PORTS=0', 'BOARD_PORT=0', 'GITHUB_STUB_PORT=0'],
  ...['docker', 'compose', '--project-name', project],
];

function compose(...args: readonly string[]): Promise<string> {
  return run('env', ...COMPOSE, ...args);
}

/** The containers of a service, stopped ones included. */
async function containersOf(service: string): Promise<string[]> {
  return (await compose('ps', '-aq', service)).split('\n');
}

async function url(service: string, port: number, replica = 1): Promise<string> {
  return `http://${await compose('port', '--index', `${replica}`, service, `${port}`)}`;
}

async function ingestUrls(): Promise<string[]> {
  const origins = await Promise.all([1, 2].map(replica => url('ingest', 8080, replica)));
  return origins.map(origin => `${origin}/flux-events`);
}

describe.skipIf(inject('noDocker') !== '')('docker compose up --build', () => {
  let orphan: Disposable | undefined;

  beforeAll(async () => {
    orphan = lifeline('env', ...COMPOSE, 'down', '-v');
    await compose('up', '--build', '-d');
  });

  afterAll(async () => {
    if (!orphan) return;
    await compose('down', '-v');
    orphan[Symbol.dispose]();
    const label = `label=com.docker.compose.project=${project}`;
    expect(await docker('ps', '-aq', '--filter', label), 'containers that are left').toBe('');
    expect(await docker('volume', 'ls', '-q', '--filter', label), 'volumes that are left').toBe('');
  });

  test('every service is confined, and only this machine reaches its ports', async () => {
    const { services } = JSON.parse(await compose('--profile', '*', 'config', '--format', 'json')) as {
      services: Record<string, { ports?: { host_ip: string }[] }>;
    };
    expect(Object.keys(services).sort()).toEqual([
      ...['board', 'credentials', 'demo-events', 'dispatcher', 'github-stub', 'grafana', 'ingest'],
      ...['prometheus', 'redis'],
    ]);
    for (const [name, service] of Object.entries(services)) {
      expect(service, name).toMatchObject({
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
      // The others do one thing and end.
      if (!['credentials', 'demo-events'].includes(name)) expect(service, name).toHaveProperty('healthcheck');
      for (const { host_ip } of service.ports ?? []) expect(host_ip, name).toBe('127.0.0.1');
    }
  });

  test("the demo's events have the expected outcomes, also the second time", async () => {
    const github = await url('github-stub', 9999);
    for (const dispatches of [4, 8]) {
      const account = await compose('run', '--rm', '-T', 'demo-events');
      expect(account).toContain('Everything went as expected: 8 events, 5 dispatches.');
      expect((await lookAtGitHub(github)).dispatches).toHaveLength(dispatches);
    }
  });

  test('what GitHub refuses is a dead letter on the board, behind its password', async () => {
    await setFaults(await url('github-stub', 9999), [
      { match: { method: 'POST', repo: GONE }, action: { status: 404 } },
    ]);
    const metadata = { dispatch_repo: GONE, env: 'at23', revision: ociRevision('at23', 'gone') };
    const [eventsUrl = ''] = await ingestUrls();
    expect(await postEvent(eventsUrl, fluxEvent({ metadata }), TOKEN)).toMatchObject({ status: 202 });

    const list = `${await url('board', 3000)}/api/queues?activeQueue=dispatch-dead-letter&status=failed`;
    const [entry] = await until('it is on the board', async () => {
      const page = await fetch(list, { headers: { Authorization: AUTHORIZATION } });
      const { queues } = (await page.json()) as { queues: { jobs: { name: string }[] }[] };
      const entries = queues.flatMap(({ jobs }) => jobs);
      return entries.length > 0 && entries;
    });
    expect(entry?.name).toBe(`${GONE} flux-deploy at23 ReconciliationSucceeded`);
    expect((await fetch(list)).status).toBe(401);
  });

  test('kill -9 of an ingest and a dispatcher under load loses nothing', async ({ task }) => {
    const github = await url('github-stub', 9999);
    await fetch(`${github}/_stub/dispatches`, { method: 'DELETE' });
    // So slow that a dispatcher has some under way at any moment, before and after GitHub has recorded them.
    const match = { method: 'POST', path: '/repos/' };
    await setFaults(github, [
      { match, action: { latencyMs: 1500 } },
      { match, action: { latencyMs: 1500, afterHandling: true } },
    ]);
    const ledger = openLedger();
    let addresses = await ingestUrls();
    await using flux = startFlux(() => addresses, TOKEN, ledger);

    const deploying = flux.deploy(60);
    await until('GitHub has received some', async () => (await lookAtGitHub(github)).dispatches.length >= 10);
    const [[ingest = ''], [dispatcher = '']] = await Promise.all(
      ['ingest', 'dispatcher'].map(containersOf) as [Promise<string[]>, Promise<string[]>],
    );
    const meanwhile = flux.deploy(20);
    await docker('kill', ingest, dispatcher);
    ledger.injected();
    // Flux does not know that one of the two is gone.
    await flux.deploy(10);
    await compose('up', '-d');
    addresses = await ingestUrls();
    await Promise.all([deploying, meanwhile, flux.deploy(10)]);

    const { figures, renamed, repeats } = await settle(flux, ledger, github);
    task.meta.figures = figures;
    const { deployments } = flux;
    expect(figures).toMatchObject({ accepted: deployments, dispatched: deployments, lost: 0 });
    expect(renamed, 'deployments with another dispatch id').toEqual([]);
    expect(repeats).toBeLessThanOrEqual(DISPATCH_CONCURRENCY);
  });

  test('docker compose stop: all end in order', async () => {
    await compose('stop');
    for (const service of ['redis', 'github-stub', 'ingest', 'dispatcher', 'board']) {
      const codes = await docker('inspect', '-f', '{{.State.ExitCode}}', ...(await containersOf(service)));
      expect(new Set(codes.split('\n')), service).toEqual(new Set(['0']));
    }
  });
});
