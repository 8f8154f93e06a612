import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';

/**
 * Reads the flags of a command. `--help` prints `usage` and exits 0; a flag that does not exist is reported with `usage`,
 * and exits 2.
 */
export function readFlags<const Options extends ParseArgsOptionsConfig>(usage: string, options: Options) {
  if (process.argv.includes('--help')) {
    process.stdout.write(usage);
    process.exit(0);
  }
  try {
    return parseArgs({ options, allowNegative: true }).values;
  } catch (error) {
    return misused((error as Error).message, usage);
  }
}

/** A flag's value as a whole number from 1 to `max`; any other is reported, and exits 2. */
export function wholeNumber(name: string, value: string, max: number): number {
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= 1 && number <= max) return number;
  return misused(`--${name} must be a whole number from 1 to ${max}, not ${JSON.stringify(value)}`);
}

function misused(message: string, usage = ''): never {
  process.stderr.write(`${message.replace(/\.$/, '')}.\n${usage && `\n${usage}`}`);
  process.exit(2);
}
