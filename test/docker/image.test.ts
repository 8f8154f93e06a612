import { randomUUID } from 'node:crypto';
import { lifeline } from '@flux-dispatch/testbed/lifeline';
import { REDIS_IMAGE } from '@flux-dispatch/testbed/redis-container';
import { until } from '@flux-dispatch/testbed/until';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { startFlux } from '../support/flux-client.ts';
import { openLedger } from '../support/ledger.ts';
import { docker, run, setFaults, settle } from './docker.ts';

// As docker-compose.yml calls them.
const IMAGE = 'flux-dispatch:dev';
const DEMO_IMAGE = 'flux-dispatch-demo:dev';

/** What Kubernetes gives a process between SIGTERM and SIGKILL. */
const GRACE_S = 30;
const TOKEN = 'image-test-token';

/** As strict as a cluster can be. */
const CONFINED = [
  ...['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
  ...['--user', '65532:65532'],
];

type App = 'ingest' | 'dispatcher' | 'board';

const ENVIRONMENTS = {
  ingest: { HMAC_TOKEN_PATH: '/credentials/token' },
  dispatcher: {
    GITHUB_APP_ID: '12345',
    GITHUB_PRIVATE_KEY_PATH: '/credentials/app.pem',
    GITHUB_API_URL: 'http://github:9999',
    DISPATCH_RATE: 'off',
  },
  board: { BOARD_USERNAME: 'operator', BOARD_PASSWORD_PATH: '/credentials/board-password' },
} as const satisfies Record<App, Record<string, string>>;

interface Container {
  readonly id: string;
  /** Where a port of it is on this machine. */
  readonly url: (port: number) => string;
  /** Milliseconds from `docker run` until it was ready. */
  readonly readyAfter: number;
}

interface Containers extends AsyncDisposable {
  readonly githubUrl: string;
  /** Resolves when it is ready. */
  start(app: App): Promise<Container>;
}

/** A Redis, a stand-in for GitHub and the credentials in a network of their own, ready for the processes. */
async function openContainers(): Promise<Containers> {
  const name = `flux-dispatch-test-${randomUUID().slice(0, 8)}`;
  const remove = [
    '-c',
    'docker ps -aq --filter "label=$0" | xargs docker rm -fv; docker network rm "$0"; docker volume rm "$0"',
    name,
  ];
  await using stack = new AsyncDisposableStack();
  stack.use(lifeline('sh', ...remove));
  stack.defer(async () => {
    await run('sh', ...remove);
  });
  await docker('network', 'create', name);

  const variables = (env: Readonly<Record<string, string>>) =>
    Object.entries(env).flatMap(([variable, value]) => ['-e', `${variable}=${value}`]);
  const publish = (ports: readonly number[]) => ports.flatMap(port => ['-p', `127.0.0.1::${port}`]);
  const common = ['--network', name, '--label', name];
  const open = async (ports: readonly number[], ...args: readonly string[]) => {
    const id = await docker('run', '-d', ...common, ...publish(ports), ...args);
    const published = async (port: number) =>
      [port, `http://${(await docker('port', id, `${port}/tcp`)).split('\n')[0]}`] as const;
    const urls = new Map(await Promise.all(ports.map(published)));
    return { id, url: (port: number) => urls.get(port) ?? '' };
  };
  const ready = (what: string, url: string) =>
    until(`${what} is ready`, () =>
      fetch(url).then(
        ({ ok }) => ok,
        () => false,
      ),
    );

  await open([], '--network-alias', 'redis', REDIS_IMAGE, 'redis-server', '--appendonly', 'yes');
  const entrypoint = ['--entrypoint', '/nodejs/bin/node'];
  const secrets = { CREDENTIALS_PATH: '/credentials', HMAC_TOKEN: TOKEN, BOARD_PASSWORD: 'image-test' };
  await docker(
    ...['run', '--rm', ...common, ...CONFINED, ...entrypoint, '-v', `${name}:/credentials`],
    ...[...variables(secrets), DEMO_IMAGE, 'dev/demo/credentials.ts'],
  );
  const confined = [...CONFINED, '-v', `${name}:/credentials:ro`];
  const stubEnv = {
    ...{ LISTEN_ADDR: ':9999', GITHUB_APP_ID: '12345', GITHUB_KEY_PATH: '/credentials/app.pem' },
  };
  const github = await open(
    [9999],
    ...['--network-alias', 'github', ...confined, ...variables(stubEnv), DEMO_IMAGE],
  );
  await ready('github-stub', `${github.url(9999)}/healthz`);

  const acquired = stack.move();
  return {
    githubUrl: github.url(9999),
    async start(app) {
      const env = variables({ REDIS_URL: 'redis://redis:6379', ...ENVIRONMENTS[app] });
      const startedAt = performance.now();
      const container = await open(app === 'ingest' ? [8080, 9090] : [9090], ...confined, ...env, IMAGE, app);
      await ready(app, `${container.url(9090)}/readyz`);
      return { ...container, readyAfter: performance.now() - startedAt };
    },
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}

/** What a command in a container of the image ends with. */
async function end(...args: readonly string[]): Promise<{ code: number; stderr: string }> {
  return docker('run', '--rm', ...CONFINED, ...args).then(
    () => ({ code: 0, stderr: '' }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
  );
}

describe.skipIf(inject('noDocker') !== '')('the image', () => {
  beforeAll(async () => {
    await docker('compose', 'build', 'ingest', 'github-stub');
  });

  test('runs as a numeric user that Kubernetes accepts as non-root, and has its labels', async () => {
    const [image] = JSON.parse(await docker('image', 'inspect', IMAGE));
    process.stdout.write(`The image has ${Math.round(image.Size / 1e6)} MB\n`);
    expect(image.Config).toMatchObject({
      User: '65532:65532',
      ExposedPorts: { '8080/tcp': {}, '3000/tcp': {}, '9090/tcp': {} },
      Env: expect.arrayContaining(['NODE_ENV=production']),
      Labels: {
        'org.opencontainers.image.title': 'flux-dispatch',
        'org.opencontainers.image.description': expect.stringContaining('repository_dispatch'),
        'org.opencontainers.image.source': 'https://github.com/Altinn/flux-dispatch',
        'org.opencontainers.image.licenses': 'MIT',
        'org.opencontainers.image.version': 'dev',
        'org.opencontainers.image.revision': 'unknown',
      },
    });
    expect(image.Config.Healthcheck).toBeUndefined();
  });

  test('has what production needs, and no shell, package manager, development dependency or test', async () => {
    const id = await docker('create', IMAGE, 'ingest');
    const files = (await run('sh', '-c', 'docker export "$0" | tar -t; docker rm "$0" >&2', id)).split('\n');
    for (const app of ['ingest', 'dispatcher', 'board']) expect(files).toContain(`app/apps/${app}/main.ts`);
    expect(files).toContain('app/node_modules/@flux-dispatch/queue');

    const unwanted = [
      /(^|\/)s?bin\/(sh|bash|dash|busybox|npm|npx|corepack|yarn|apt|apt-get|dpkg|apk)$/,
      /\/node_modules\/(npm|vitest|vite|typescript|testcontainers|playwright-core|fast-check|@biomejs)\//,
      /^app\/dev\//,
      /\.test\.ts$/,
      /\.node$/,
    ];
    expect(files.filter(file => unwanted.some(pattern => pattern.test(file)))).toEqual([]);
  });

  test('nothing of the app belongs to the user that runs it, should the filesystem be writable', async () => {
    const write = "require('node:fs').writeFileSync('/app/apps/x', '')";
    const node = ['--user', '65532:65532', '--entrypoint', '/nodejs/bin/node'];
    await expect(docker('run', '--rm', ...node, IMAGE, '--eval', write)).rejects.toThrow(/EACCES/);
    const remove = "require('node:fs').unlinkSync('/app/package.json')";
    await expect(docker('run', '--rm', ...node, IMAGE, '--eval', remove)).rejects.toThrow(/EACCES/);
  });

  test('says its version and revision', async () => {
    expect(await docker('run', '--rm', ...CONFINED, IMAGE, '--version')).toBe('flux-dispatch dev (unknown)');
  });

  test.each([
    { command: [], fault: 'No process is named' },
    { command: ['ingress'], fault: 'There is no process "ingress"' },
  ])('$command is no process: it says which there are', async ({ command, fault }) => {
    expect(await end(IMAGE, ...command)).toEqual({
      code: 1,
      stderr: `${fault}: the command must be one of board, dispatcher, ingest\n`,
    });
  });

  test('with nothing writable and no capability, every process becomes ready, and stops in order', async () => {
    await using containers = await openContainers();
    for (const app of ['ingest', 'dispatcher', 'board'] as const) {
      const { id, readyAfter } = await containers.start(app);
      process.stdout.write(`${app} is ready ${Math.round(readyAfter)} ms after docker run\n`);
      expect(await stop(id)).toBe(0);
    }
  });

  test.for(['dispatcher', 'ingest'] as const)('docker stop of %s under load', async (app, { task }) => {
    await using containers = await openContainers();
    // At any moment some dispatches are under way, before and after GitHub has recorded them.
    const match = { method: 'POST', path: '/repos/' };
    await setFaults(containers.githubUrl, [
      { match, action: { latencyMs: 200 } },
      { match, action: { latencyMs: 200, afterHandling: true } },
    ]);
    const replicas = await Promise.all(
      (['ingest', 'ingest', 'dispatcher', 'dispatcher'] as const).map(containers.start),
    );
    let ingests = replicas.slice(0, 2);
    const stopped = replicas[app === 'ingest' ? 0 : 2] as Container;

    const ledger = openLedger();
    const addresses = () => ingests.map(({ url }) => `${url(8080)}/flux-events`);
    await using flux = startFlux(addresses, TOKEN, ledger);
    const some = ledger.acceptances(50);
    const deploying = (async () => {
      for (let wave = 0; wave < 60; wave++) await flux.deploy(5);
    })();
    await some;
    const acceptedBefore = ledger.accepted;
    expect(await stop(stopped.id)).toBe(0);
    // Events were taken all the while. Until here a Service would still have had its address.
    expect(ledger.accepted).toBeGreaterThan(acceptedBefore);
    ingests = ingests.filter(({ id }) => id !== stopped.id);
    await deploying;

    const { figures, renamed } = await settle(flux, ledger, containers.githubUrl);
    task.meta.figures = figures;
    const { deployments } = flux;
    expect(figures).toMatchObject({ accepted: deployments, dispatched: deployments, lost: 0, twice: 0 });
    expect(renamed, 'deployments with another dispatch id').toEqual([]);
  });
});

/** Stops a container and returns its exit code, once it has been checked that it was not cut off. */
async function stop(id: string): Promise<number> {
  const before = performance.now();
  await docker('stop', '-t', `${GRACE_S}`, id);
  const seconds = (performance.now() - before) / 1000;
  const log = (await docker('logs', id)).split('\n').map(line => JSON.parse(line));
  process.stdout.write(`${log[0].process} has stopped after ${Math.round(seconds * 1000)} ms\n`);
  expect(seconds).toBeLessThan(GRACE_S);
  expect(log.at(-1)).toMatchObject({ msg: 'Stopped' });
  return Number(await docker('inspect', '--format', '{{.State.ExitCode}}', id));
}
