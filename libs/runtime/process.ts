import process from 'node:process';
import { type Build, readBuild } from './build.ts';
import type { Fault, Parsed } from './env.ts';
import { listenFailure } from './listen-failure.ts';
import { captureConsole, createLogger, exit, type Logger } from './log.ts';

export interface RunningProcess<Config> {
  readonly config: Readonly<Config>;
  readonly build: Build;
  readonly log: Logger;
  /** Aborted when the process has been asked to stop: not ready from then on. */
  readonly stopping: AbortSignal;
  /** What has been started. Disposed in reverse order when the process is asked to stop. */
  readonly stack: AsyncDisposableStack;
}

interface ProcessConfig {
  readonly LOG_LEVEL: string;
  readonly SHUTDOWN_TIMEOUT: number;
}

/**
 * Runs a process from its parsed configuration to its exit code.
 *
 * - The first line of the log says which build it is, at the level `info`.
 * - A faulty configuration is logged fault by fault, before anything listens: exit 1.
 * - `start` acquires what the process needs into `stack`; if it throws, what it had acquired is released: exit 1.
 * - SIGTERM or SIGINT aborts `stopping` and disposes `stack`: exit 0 once that is done, exit 1 with what is then under
 *   way cut off after `SHUTDOWN_TIMEOUT`. A second signal exits at once, with 128 + its number as a shell would say.
 */
export async function runProcess<Config extends ProcessConfig>(
  name: string,
  parsed: Parsed<Config>,
  start: (running: RunningProcess<Config>) => Promise<void>,
): Promise<void> {
  const build = readBuild();
  const faults = [...surplusArguments(name), ...(parsed.ok ? [] : parsed.faults)];
  if (!parsed.ok || faults.length > 0) return exitOnFaults(name, faults, build);
  const { config } = parsed;
  const log = createLogger(name, config.LOG_LEVEL);
  captureConsole(log);
  log.info({ ...build }, 'Starting');
  const stopping = new AbortController();
  const stack = new AsyncDisposableStack();

  const crash = (err: unknown) => {
    log.fatal({ err }, 'Unexpected error: this is a bug, the process ends');
    exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);

  const stopped = new Promise<void>(resolve => {
    const onSignal = (signal: NodeJS.Signals, code: number) => {
      if (stopping.signal.aborted) {
        log.warn({ signal }, 'Second signal: exiting at once');
        exit(128 + code);
      }
      log.info({ signal }, 'Shutting down: finishing what is under way');
      setTimeout(() => {
        log.error(
          { timeout_ms: config.SHUTDOWN_TIMEOUT },
          'Not finished within SHUTDOWN_TIMEOUT: exiting. What was under way is taken up by another replica',
        );
        exit(1);
      }, config.SHUTDOWN_TIMEOUT).unref();
      stopping.abort();
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });

  try {
    await start({ config, build, log, stopping: stopping.signal, stack });
    log.info('Started');
    await stopped;
    await stack.disposeAsync();
    log.info('Stopped');
    exit(0);
  } catch (error) {
    log.fatal({ reason: (error as Error).message }, listenFailure(error, config) ?? 'Failed');
    // The first failure is what matters; releasing the rest may fail for the same reason.
    await stack.disposeAsync().catch(err => log.error({ err }, 'Cleaning up after the failure failed too'));
    exit(1);
  }
}

/** Arguments would do nothing: whoever gives `--dry-run` must not get a dispatcher that dispatches. */
function surplusArguments(name: string): { message: string }[] {
  const [, , ...given] = process.argv;
  // In an image the process' name is the command.
  const surplus = given[0] === name ? given.slice(1) : given;
  if (surplus.length === 0) return [];
  const message = `${name} takes no arguments, but was given ${surplus.join(' ')}: it is configured by environment variables`;
  return [{ message }];
}

function exitOnFaults(name: string, faults: readonly (Fault | { message: string })[], build: Build): never {
  const log = createLogger(name, 'info');
  for (const { message, ...where } of faults) log.fatal({ ...where, ...build }, message);
  exit(1);
}
