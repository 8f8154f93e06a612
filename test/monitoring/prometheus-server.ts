import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@flux-dispatch/testbed/free-port';
import { lifeline } from '@flux-dispatch/testbed/lifeline';
import { until } from '@flux-dispatch/testbed/until';

export interface PrometheusOptions {
  /** The absolute path of the program. */
  readonly program: string;
  /** The files with the rules, as absolute paths. */
  readonly rules: readonly string[];
  /** What is scraped: the names of the jobs, and where the metrics of each are, without the path. */
  readonly jobs: Readonly<Record<string, string>>;
}

export interface Prometheus extends AsyncDisposable {
  /** The `data` of an answer of its API, such as that of `rules`. @throws with its error where there is one */
  get<T>(path: string, parameters?: Readonly<Record<string, string>>): Promise<T>;
  /** What a query gives at a time, in seconds since the epoch. Default: now. */
  query(query: string, at?: number): Promise<readonly Sample[]>;
}

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Starts a Prometheus on a free port of 127.0.0.1, which scrapes and evaluates every second, with its data in a temporary
 * folder. Neither outlives this process, however it ends. Throws, with the server's log, when it does not come up.
 */
export async function startPrometheus({ program, rules, jobs }: PrometheusOptions): Promise<Prometheus> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-prometheus-'));
  stack.use(lifeline('rm', '-rf', folder));
  stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: rules,
    scrape_configs: Object.entries(jobs).map(([job_name, url]) => ({
      job_name,
      static_configs: [{ targets: [new URL(url).host] }],
    })),
  };
  const configFile = join(folder, 'prometheus.yml');
  // YAML takes JSON as it is.
  await writeFile(configFile, JSON.stringify(config));
  const url = `http://127.0.0.1:${await freePort()}`;
  const logFile = join(folder, 'server.log');
  const log = await open(logFile, 'a');
  stack.defer(() => log.close());
  const args = [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${new URL(url).host}`,
  ];
  const child = spawn(program, args, { stdio: ['ignore', log.fd, log.fd], detached: true });
  if (child.pid === undefined) throw (await once(child, 'error'))[0];
  const orphan = lifeline('kill', '-9', `${child.pid}`);
  let ended = false;
  const exited = once(child, 'exit').then(() => {
    ended = true;
    orphan[Symbol.dispose]();
  });
  stack.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });

  await until('Prometheus is ready', async () => {
    if (ended) throw new Error(`Prometheus ended:\n${await readFile(logFile, 'utf8')}`);
    return fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  });

  const get: Prometheus['get'] = async (path, parameters = {}) => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, data, error } = (await response.json()) as Answer;
    if (status !== 'success') throw new Error(error);
    return data as never;
  };
  const acquired = stack.move();
  return {
    get,
    async query(query, at) {
      const parameters = { query, ...(at !== undefined && { time: `${at}` }) };
      const { result } = await get<{ result: { metric: Sample['metric']; value: [number, string] }[] }>(
        'query',
        parameters,
      );
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    [Symbol.asyncDispose]: () => acquired.disposeAsync(),
  };
}

interface Answer {
  readonly status: 'success' | 'error';
  readonly data?: unknown;
  readonly error?: string;
}
