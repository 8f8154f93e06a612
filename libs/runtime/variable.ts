import { readFileSync } from 'node:fs';
import { z } from 'zod';

// The types of which processes declare their variables. Each says in its message what the variable must be.

/**
 * A variable whose text `parse` turns into a value, or into undefined where it is not valid. `must` completes the message
 * `<VARIABLE> must be …`, which quotes the text unless it is or may contain a secret.
 */
export function variable<T>(
  parse: (value: string) => T | undefined,
  must: string,
  { isSecret = false } = {},
) {
  return z.string({ error: 'is required' }).transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: `must be ${must}${isSecret ? '' : quoted(value)}` });
    return z.NEVER;
  });
}

/** A variable that is required because of another one: `condition` is that one's setting, such as `BOARD_AUTH=basic`. */
export function requiredWith<T>(condition: string, type: z.ZodType<T, string>) {
  return z.string({ error: `is required with ${condition}` }).pipe(type);
}

// A long value may be a key or a token that was set instead of the path to it. It must not reach the log.
const MAX_QUOTED_LENGTH = 60;

function quoted(value: string): string {
  return value.length <= MAX_QUOTED_LENGTH && !value.includes('\n') ? `, not ${JSON.stringify(value)}` : '';
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
// A timer of more than 2^31 ms fires at once, so what is waited for is no longer than this.
const LONGEST_TIMER = '24d';

/**
 * A duration such as `500ms`, `10s`, `5m`, `24h` or `14d`, or several of them from the largest unit to the smallest, as Go
 * writes them: `1h30m`. In milliseconds.
 * @param max no more than 24d for what becomes a timer
 */
export function duration({ min = '1ms', max = LONGEST_TIMER }: { min?: string; max?: string } = {}) {
  const [minMs, maxMs] = [durationMs(min) ?? 0, durationMs(max) ?? 0];
  return variable(value => {
    const ms = durationMs(value);
    return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
  }, `a duration such as 500ms, 10s, 24h, 14d or 1h30m, from ${min} to ${max}`);
}

const DURATION =
  /^(?:(?<d>\d{1,12})d)?(?:(?<h>\d{1,12})h)?(?:(?<m>\d{1,12})m)?(?:(?<s>\d{1,12})s)?(?:(?<ms>\d{1,12})ms)?$/;

function durationMs(value: string): number | undefined {
  const parts = DURATION.exec(value)?.groups;
  if (parts === undefined || value === '') return undefined;
  const units = Object.entries(UNIT_MS);
  return units.reduce((sum, [unit, ms]) => sum + Number(parts[unit] ?? 0) * ms, 0);
}

export interface Address {
  /** undefined listens on every interface. */
  readonly host: string | undefined;
  readonly port: number;
}

/** A listen address: `:8080`, `127.0.0.1:8080` or `[::1]:8080`. Port 0 takes any free one. */
export const address = variable((value): Address | undefined => {
  const [, host, port] = /^(?:([A-Za-z0-9.-]+)|\[[0-9a-fA-F:]+\])?:(\d{1,5})$/.exec(value) ?? [];
  if (port === undefined || Number(port) > 65_535) return undefined;
  const ipv6 = value.startsWith('[') ? value.slice(1, value.indexOf(']')) : undefined;
  return { host: host ?? ipv6, port: Number(port) };
}, 'an address such as :8080 or 127.0.0.1:8080');

const FLAGS: Readonly<Record<string, boolean>> = { true: true, '1': true, false: false, '0': false };

/** `true` or `false`, also written `1` or `0`. */
export const flag = variable(
  value => (Object.hasOwn(FLAGS, value) ? FLAGS[value] : undefined),
  'true, false, 1 or 0',
);

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number) {
  return variable(value => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    return number >= min && number <= max ? number : undefined;
  }, `a whole number from ${min} to ${max}`);
}

/** One of a few words. */
export function oneOf<const Word extends string>(...words: Word[]) {
  return variable(value => words.find(word => word === value), words.join(' or '));
}

/** Text of a given form. `must` says the form in words. The message about a secret does not quote it. */
export function matching(pattern: RegExp, must: string, options: { isSecret?: boolean } = {}) {
  return variable(value => (pattern.test(value) ? value : undefined), must, options);
}

/** A comma-separated list with at least one entry, each of a given form. Spaces around entries are dropped. */
export function list(entry: RegExp, must: string) {
  return variable(value => {
    const entries = value.split(',').map(item => item.trim());
    return entries.every(item => entry.test(item)) ? entries : undefined;
  }, must);
}

/** An http or https URL, without its trailing slash. */
export const httpUrl = variable(value => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  return url && /^https?:$/.test(url.protocol) ? value.replace(/\/$/, '') : undefined;
}, 'an http or https URL');

/**
 * The path of a mounted file, which must be readable by the time the process starts.
 * @param parse throws what is wrong with the content, in words that do not repeat it: it may be a secret
 */
export function mountedFile(parse: (content: Buffer) => unknown = requireContent) {
  return z.string({ error: 'is required' }).transform((path, context) => {
    const fault = fileFault(path, parse);
    if (fault === undefined) return path;
    // What does not look like a path may be the secret itself.
    const name = path.startsWith('/') && path.length < 256 && !path.includes('\n') ? path : 'what it names';
    context.addIssue({ code: 'custom', message: `must name a readable file: ${name} ${fault}` });
    return z.NEVER;
  });
}

function fileFault(path: string, parse: (content: Buffer) => unknown): string | undefined {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? message})`;
  }
  try {
    parse(content);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

function requireContent(content: Buffer): void {
  if (content.length === 0) throw new Error('is empty');
}

export interface Rate {
  readonly max: number;
  /** Milliseconds. */
  readonly per: number;
}

/** A pace such as `8/3s`, or `off` for none. */
export const rate = variable((value): Rate | 'off' | undefined => {
  if (value === 'off') return 'off';
  const [, max, window] = /^(\d{1,9})\/([^/]+)$/.exec(value) ?? [];
  const per = window === undefined ? undefined : durationMs(window);
  return Number(max) > 0 && per !== undefined && per > 0 && per <= (durationMs(LONGEST_TIMER) ?? 0)
    ? { max: Number(max), per }
    : undefined;
}, 'a number of calls per duration such as 8/3s, or off');
