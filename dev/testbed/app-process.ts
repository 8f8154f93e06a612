import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { lifeline } from './lifeline.ts';
import { NotYet, TimedOut, until } from './until.ts';

const LOG_TAIL_LINES = 20;

const ROOT = join(import.meta.dirname, '..', '..');

export type App = 'ingest' | 'dispatcher' | 'board' | 'github-stub';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A line of a process's log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** One of the apps, running as the separate process that it is in a container. */
export interface AppProcess extends AsyncDisposable {
  readonly app: App;
  /** Everything it has written so far, line by line. */
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
  /** The log so far. A line that is not JSON is not in it. */
  log(): readonly LogLine[];
  signal(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

/** Starts an app with this environment and no other. It does not outlive the process that started it. */
export function spawnApp(app: App, env: Readonly<Record<string, string>>): AppProcess {
  // A process group of its own: Ctrl-C in a terminal is for the one who started it, who then stops it in order.
  const child = spawn(
    process.execPath,
    [join(ROOT, app === 'github-stub' ? 'dev' : 'apps', app, 'main.ts')],
    {
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    },
  );
  const orphan = lifeline('kill', '-9', String(child.pid));
  const stdout: string[] = [];
  const stderr: string[] = [];
  const outputs = [
    createInterface(child.stdout).on('line', line => stdout.push(line)),
    createInterface(child.stderr).on('line', line => stderr.push(line)),
  ];
  // Ended only once its last lines have been read.
  const read = Promise.all(outputs.map(output => once(output, 'close')));
  const exited = once(child, 'close').then(async ([code, signal]): Promise<Exit> => {
    await read;
    orphan[Symbol.dispose]();
    return { code, signal };
  });
  return {
    app,
    stdout,
    stderr,
    log: () => stdout.flatMap(parseLine),
    signal: signal => child.kill(signal),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function parseLine(line: string): LogLine[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/**
 * Waits until the process has logged that it listens, and returns that line, which has its ports.
 * @throws with the process's output when it ends instead
 */
export async function listening(process: AppProcess): Promise<LogLine> {
  const throwIfExited = watchExit(process);
  return explained(process, 'listen', () =>
    until(`${process.app} listens`, () => {
      throwIfExited();
      return process.log().find(line => line['msg'] === 'Listening');
    }),
  );
}

/**
 * Waits until `/readyz` answers 200.
 * @param opsUrl where the process has its probes
 * @throws after `timeoutMs`, with the reason that `/readyz` gave and the end of the process's log; or when it ends
 */
export async function untilReady(process: AppProcess, opsUrl: string, timeoutMs = 20_000): Promise<void> {
  const throwIfExited = watchExit(process);
  const ready = async () => {
    throwIfExited();
    const answer = await fetch(`${opsUrl}/readyz`);
    if (answer.ok) return true;
    const { reason = `/readyz answers ${answer.status}` } = (await answer.json()) as { reason?: string };
    return new NotYet(reason);
  };
  await explained(process, 'become ready', () => until(`${process.app} is ready`, ready, timeoutMs));
}

/** Returns a function that throws, with the process's output, once the process has ended. */
function watchExit(process: AppProcess): () => void {
  let exit: Exit | undefined;
  void process.exited.then(ended => {
    exit = ended;
  });
  return () => {
    if (!exit) return;
    const output = [...process.stdout, ...process.stderr].join('\n');
    throw new Error(`${process.app} ended (${exit.code ?? exit.signal}):\n${output}`);
  };
}

async function explained<T>(process: AppProcess, verb: string, wait: () => Promise<T>): Promise<T> {
  try {
    return await wait();
  } catch (error) {
    if (!(error instanceof TimedOut)) throw error;
    const reason = error.reason === undefined ? '' : `: ${error.reason}`;
    const tail = [...process.stdout, ...process.stderr].slice(-LOG_TAIL_LINES);
    const log = tail.length === 0 ? 'It has logged nothing.' : `The end of its log:\n${tail.join('\n')}`;
    const message = `${process.app} did not ${verb} within ${error.seconds} s${reason}. ${log}`;
    throw new Error(message, { cause: error });
  }
}
