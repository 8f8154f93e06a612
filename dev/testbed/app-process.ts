import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { lifeline } from './lifeline.ts';
import { until } from './until.ts';

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
  let exit: Exit | undefined;
  void process.exited.then(ended => {
    exit = ended;
  });
  return until(`${process.app} listens`, () => {
    if (exit) {
      const output = [...process.stdout, ...process.stderr].join('\n');
      throw new Error(`${process.app} ended (${exit.code ?? exit.signal}):\n${output}`);
    }
    return process.log().find(line => line['msg'] === 'Listening');
  });
}
