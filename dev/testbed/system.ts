import { randomUUID } from 'node:crypto';
import { type AppProcess, listening, spawnApp, untilReady } from './app-process.ts';
import type { Credentials } from './credentials.ts';

export interface SystemOptions {
  readonly redisUrl: string;
  readonly githubUrl: string;
  readonly credentials: Credentials;
  /** Keeps apart what shares a Redis. Default: one of its own. */
  readonly prefix?: string;
  /** Replicas. */
  readonly ingests?: number;
  readonly dispatchers?: number;
  /** Variables beyond those that a system needs to start, or in their place. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ingest {
  readonly process: AppProcess;
  readonly eventsUrl: string;
  /** Without a path, where the probes and metrics are. */
  readonly opsUrl: string;
}

export interface Dispatcher {
  readonly process: AppProcess;
  readonly opsUrl: string;
}

export interface Board {
  readonly process: AppProcess;
  /** Without a path: the board itself, and where its probes and metrics are. */
  readonly url: string;
  readonly opsUrl: string;
}

/** The processes of flux-dispatch, started as they are in a cluster. */
export interface System extends AsyncDisposable {
  readonly prefix: string;
  readonly ingests: readonly Ingest[];
  readonly dispatchers: readonly Dispatcher[];
  startIngest(env?: Readonly<Record<string, string>>): Promise<Ingest>;
  startDispatcher(env?: Readonly<Record<string, string>>): Promise<Dispatcher>;
  /** Starts a board on a loopback address, without a login unless `env` asks for one. */
  startBoard(env?: Readonly<Record<string, string>>): Promise<Board>;
  /** Asks every process to stop, and waits until all have. */
  stop(): Promise<void>;
}

/** Starts the replicas of ingest and dispatcher. Resolves when all are ready. Disposing kills what still runs. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { redisUrl, githubUrl, credentials, prefix = `{flux-dispatch-${randomUUID()}}` } = options;
  const { ingests: ingestCount = 1, dispatchers: dispatcherCount = 1 } = options;
  const stack = new AsyncDisposableStack();
  const ingests: Ingest[] = [];
  const dispatchers: Dispatcher[] = [];
  const boards: Board[] = [];

  const common = { REDIS_URL: redisUrl, QUEUE_PREFIX: prefix, METRICS_ADDR: '127.0.0.1:0', ...options.env };
  const start = async (app: 'ingest' | 'dispatcher' | 'board', env: Readonly<Record<string, string>>) => {
    const process = stack.use(spawnApp(app, env));
    const line = await listening(process);
    const opsUrl = `http://127.0.0.1:${line['metrics_port']}`;
    await untilReady(process, opsUrl);
    return { process, line, opsUrl };
  };

  const startIngest: System['startIngest'] = async env => {
    const { process, line, opsUrl } = await start('ingest', {
      ...common,
      LISTEN_ADDR: '127.0.0.1:0',
      HMAC_TOKEN_PATH: credentials.tokenPath,
      ...env,
    });
    const ingest = { process, opsUrl, eventsUrl: `http://127.0.0.1:${line['events_port']}/flux-events` };
    ingests.push(ingest);
    return ingest;
  };
  const startDispatcher: System['startDispatcher'] = async env => {
    const { process, opsUrl } = await start('dispatcher', {
      ...common,
      GITHUB_APP_ID: credentials.appId,
      GITHUB_PRIVATE_KEY_PATH: credentials.privateKeyPath,
      GITHUB_API_URL: githubUrl,
      ...env,
    });
    const dispatcher = { process, opsUrl };
    dispatchers.push(dispatcher);
    return dispatcher;
  };
  const startBoard: System['startBoard'] = async env => {
    const { process, line, opsUrl } = await start('board', {
      ...common,
      BOARD_ADDR: '127.0.0.1:0',
      BOARD_AUTH: 'none',
      ...env,
    });
    const board = { process, opsUrl, url: `http://127.0.0.1:${line['board_port']}` };
    boards.push(board);
    return board;
  };

  try {
    await Promise.all([
      ...Array.from({ length: ingestCount }, () => startIngest()),
      ...Array.from({ length: dispatcherCount }, () => startDispatcher()),
    ]);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
  return {
    prefix,
    ingests,
    dispatchers,
    startIngest,
    startDispatcher,
    startBoard,
    async stop() {
      const processes = [...ingests, ...dispatchers, ...boards].map(({ process }) => process);
      for (const process of processes) process.signal('SIGTERM');
      await Promise.all(processes.map(({ exited }) => exited));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
