import { format } from 'node:util';
import { type DestinationStream, pino } from 'pino';

export type Logger = pino.Logger;

const stdout = pino.destination({ dest: 1, sync: true });

/**
 * Ends the process once its log is out: what a full pipe has not taken yet would be lost with it, and that is the lines
 * that say why it ended.
 */
export function exit(code: number): never {
  try {
    stdout.flushSync();
  } finally {
    // Also where nobody reads it any more.
    process.exit(code);
  }
}

/**
 * A logger that writes one JSON object a line, to stdout unless told otherwise.
 * An error is logged by its type, message and stack alone: the errors of HTTP clients carry the request with its
 * authorization header as properties, which is what pino's own serializer would print.
 */
export function createLogger(name: string, level: string, destination?: DestinationStream): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: { process: name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    serializers: { err: describeError },
  };
  return pino(options, destination ?? stdout);
}

// Anything can be thrown, also null.
function describeError(error: unknown) {
  return error instanceof Error
    ? { type: error.name, message: error.message, stack: error.stack }
    : { type: typeof error, message: String(error) };
}

/** Sends what libraries write to the console through the log, so that every line of stdout and stderr is JSON. */
export function captureConsole(log: Logger): void {
  // An error by its stack alone, for the same reason as above.
  const text = (args: unknown[]) => format(...args.map(arg => (arg instanceof Error ? arg.stack : arg)));
  console.log = console.info = (...args) => log.info({ source: 'console' }, text(args));
  console.warn = (...args) => log.warn({ source: 'console' }, text(args));
  console.error = (...args) => log.error({ source: 'console' }, text(args));
}
