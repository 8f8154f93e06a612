import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** One wrong environment variable: its name, and what it must be. */
export interface Fault {
  readonly variable: string;
  readonly message: string;
}

/** A condition on more than one variable. Returns a fault, or undefined where the environment meets it. */
export type Rule = (env: Environment) => Fault | undefined;

export type Environment = Readonly<Record<string, string | undefined>>;

export type Parsed<T> = { ok: true; config: Readonly<T> } | { ok: false; faults: readonly Fault[] };

/**
 * Parses the environment into a frozen object whose keys are the variables' own names. Reports every fault, not just
 * the first. A variable that is set to the empty string counts as not set, as templates and compose files leave it.
 */
export function parseEnvironment<Shape extends z.ZodRawShape>(
  shape: Shape,
  env: Environment,
  rules: readonly Rule[] = [],
): Parsed<z.output<z.ZodObject<Shape>>> {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  );
  const parsed = z.object(shape).safeParse(set);
  const faults = [
    ...(parsed.error?.issues ?? []).map(issue => {
      const variable = String(issue.path[0]);
      return { variable, message: `${variable} ${variable in set ? issue.message : 'is required'}` };
    }),
    ...rules.flatMap(rule => rule(set) ?? []),
  ];
  if (parsed.success && faults.length === 0) return { ok: true, config: Object.freeze(parsed.data) };
  return { ok: false, faults };
}

/** The rule that `variable` is given, unless `unless` is true. */
export function requiredUnless(variable: string, unless: string): Rule {
  return env =>
    env[variable] === undefined && env[unless] !== 'true'
      ? { variable, message: `${variable} is required, unless ${unless}=true` }
      : undefined;
}

function variable<T>(parse: (value: string) => T | undefined, must: string, { isSecret = false } = {}) {
  return z.string().transform((value, context) => {
    const parsed = parse(value);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: `must be ${must}${isSecret ? '' : quoted(value)}` });
    return z.NEVER;
  });
}

// A key or a token that was put where its path belongs must not end up in the log. Most of them are long.
const MAX_QUOTED_LENGTH = 60;

function quoted(value: string): string {
  return value.length <= MAX_QUOTED_LENGTH && !value.includes('\n') ? `, not ${JSON.stringify(value)}` : '';
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
// A timer of Node's fires at once beyond 2^31 ms, so nothing may be longer than that.
const MAX_DURATION_MS = 24 * UNIT_MS.d;

/** A duration such as `500ms`, `10s`, `5m`, `24h` or `14d`, in milliseconds. */
export function duration({ min = '1ms' }: { min?: string } = {}) {
  const minMs = durationMs(min) ?? 0;
  return variable(value => {
    const ms = durationMs(value);
    return ms !== undefined && ms >= minMs && ms <= MAX_DURATION_MS ? ms : undefined;
  }, `a duration such as 500ms, 10s, 5m, 24h or 14d, from ${min} to 24d`);
}

function durationMs(value: string): number | undefined {
  const [, number, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(value) ?? [];
  return number === undefined ? undefined : Number(number) * UNIT_MS[unit as keyof typeof UNIT_MS];
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

/** `true` or `false`. */
export const flag = variable(
  value => (value === 'true' ? true : value === 'false' ? false : undefined),
  'true or false',
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
 * The path of a mounted file, which must be readable by the time the process starts. `check` looks at its content
 * and returns what is wrong with it, in words that do not repeat the content: it may be a secret.
 */
export function mountedFile(check: (content: Buffer) => string | undefined = notEmpty) {
  return z.string().transform((path, context) => {
    const fault = fileFault(path, check);
    if (fault === undefined) return path;
    // What does not look like a path may be the secret itself.
    const name = path.startsWith('/') && path.length < 256 && !path.includes('\n') ? path : 'what it names';
    context.addIssue({ code: 'custom', message: `must name a readable file: ${name} ${fault}` });
    return z.NEVER;
  });
}

function fileFault(path: string, check: (content: Buffer) => string | undefined): string | undefined {
  try {
    return check(readFileSync(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? message})`;
  }
}

function notEmpty(content: Buffer): string | undefined {
  return content.length === 0 ? 'is empty' : undefined;
}

/** The variables that every process has, next to those of its Redis. */
export const PROCESS_VARIABLES = {
  METRICS_ADDR: address.prefault(':9090'),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal').prefault('info'),
  SHUTDOWN_TIMEOUT: duration().prefault('25s'),
};

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
  return Number(max) > 0 && per !== undefined && per > 0 && per <= MAX_DURATION_MS
    ? { max: Number(max), per }
    : undefined;
}, 'a number of calls per duration such as 8/3s, or off');
