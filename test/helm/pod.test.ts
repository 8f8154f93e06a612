import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { type App, type AppProcess, listening, spawnApp } from '@flux-dispatch/testbed/app-process';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';
import { BOARD, chart, MINIMAL, type Rendered } from './render.ts';

/** What the Secrets of the cluster hold, by name and key. */
type Secrets = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What the test puts in the place of a pod's network: its ports are free ones of this machine. */
const PORTS = { METRICS_ADDR: '127.0.0.1:0', LISTEN_ADDR: '127.0.0.1:0', BOARD_ADDR: '127.0.0.1:0' };

interface Pod extends AsyncDisposable {
  readonly process: AppProcess;
  /** By the names that the Deployment gives its ports. */
  readonly urls: { readonly metrics: string; readonly http: string };
}

/**
 * Does with a rendered Deployment what the kubelet does: puts its Secrets into files, its ConfigMap into the environment, and
 * starts the process that its args name.
 */
async function startPod({ get }: Rendered, name: string, secrets: Secrets): Promise<Pod> {
  await using stack = new AsyncDisposableStack();
  const { spec } = get('Deployment', name).spec.template;
  const [container] = spec.containers;
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-pod-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  for (const { projected } of spec.volumes) {
    for (const { secret } of projected.sources) {
      for (const { key, path } of secret.items) {
        const content = secrets[secret.name]?.[key];
        if (content === undefined) throw new Error(`${name} wants a Secret ${secret.name} with ${key}`);
        await writeFile(join(folder, path), content);
      }
    }
  }
  const rendered: Record<string, string> = Object.assign(
    {},
    ...container.envFrom.map(
      (source: { configMapRef: { name: string } }) => get('ConfigMap', source.configMapRef.name).data,
    ),
  );
  const [{ mountPath }] = container.volumeMounts;
  const env = Object.fromEntries(
    Object.entries(rendered).map(([variable, value]) => [
      variable,
      PORTS[variable as keyof typeof PORTS] ?? value.replace(mountPath, folder),
    ]),
  );
  // The addresses that were just replaced are those of the container's ports.
  const ports = container.ports.map(({ containerPort }: { containerPort: number }) => `:${containerPort}`);
  const addresses = Object.keys(PORTS).flatMap(variable => rendered[variable] ?? []);
  expect(ports.toSorted()).toEqual(addresses.toSorted());

  const process = stack.use(spawnApp(container.args[0] as App, env));
  const line = await listening(process);
  const url = (port: unknown) => `http://127.0.0.1:${port}`;
  const urls = { metrics: url(line['metrics_port']), http: url(line['events_port'] ?? line['board_port']) };
  const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
  for (const { httpGet } of probes) {
    await until(
      `${name} answers ${httpGet.path}`,
      async () => (await fetch(`${urls.metrics}${httpGet.path}`)).ok,
    );
  }
  const held = stack.move();
  return { process, urls, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** What the Pod of `helm test` prints. @throws where it fails */
async function helmTest({ get }: Rendered, ingestUrl: string): Promise<string[]> {
  const [{ command, env }] = get('Pod', 'flux-dispatch-test').spec.containers;
  const { port } = get('Service', 'flux-dispatch-ingest').spec.ports[0];
  const variables = Object.fromEntries(
    env.map(({ name, value }: { name: string; value: string }) => [name, value]),
  );
  expect(variables['INGEST']).toBe(`http://flux-dispatch-ingest:${port}`);
  const { stdout } = await promisify(execFile)(process.execPath, command.slice(1), {
    env: { ...variables, INGEST: ingestUrl },
  });
  return stdout.trim().split('\n');
}

test('pods as the chart renders them bring an event to GitHub, and stop in order', async context => {
  const { render } = await chart(context);
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  const rendered = await render(
    ...[...MINIMAL, ...BOARD],
    ...['--set', `redis.url=${inject('redisUrl')}`, '--set', `redis.queuePrefix=\\{${randomUUID()}\\}`],
    ...['--set', `dispatcher.github.apiUrl=${stub.url}`],
    ...['--set-string', `dispatcher.github.appId=${credentials.appId}`],
    ...['--set', 'ingest.config.MAX_BODY_BYTES=2097152', '--set', 'dispatcher.config.DISPATCH_RATE=off'],
  );
  const secrets = {
    token: { token: credentials.token },
    'github-app': { 'private-key.pem': await readFile(credentials.privateKeyPath, 'utf8') },
    board: { password: 'correct horse' },
  };
  await using ingest = await startPod(rendered, 'flux-dispatch-ingest', secrets);
  await using dispatcher = await startPod(rendered, 'flux-dispatch-dispatcher', secrets);
  await using board = await startPod(rendered, 'flux-dispatch-board', secrets);

  const body = fluxEvent({
    metadata: { dispatch_repo: 'Altinn/dialogporten', env: 'at23', revision: ociRevision('at23', 'chart') },
  });
  expect(await postEvent(`${ingest.urls.http}/flux-events`, body, credentials.token)).toMatchObject({
    status: 202,
  });
  await until('it is at GitHub', () => stub.dispatches.length === 1);

  const signIn = (password: string) => ({
    headers: { authorization: `Basic ${Buffer.from(`operator:${password}`).toString('base64')}` },
  });
  expect((await fetch(board.urls.http, signIn('wrong'))).status).toBe(401);
  expect((await fetch(board.urls.http, signIn('correct horse'))).status).toBe(200);

  expect(await helmTest(rendered, ingest.urls.http)).toEqual([
    'GET /readyz 200 {"status":"ok"}',
    'POST /flux-events 401 invalid_signature (expected: 401 invalid_signature)',
  ]);

  for (const { process } of [ingest, dispatcher, board]) {
    process.signal('SIGTERM');
    expect(await process.exited).toEqual({ code: 0, signal: null });
  }
});
