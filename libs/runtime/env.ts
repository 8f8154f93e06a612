import { z } from 'zod';
import { findMisspelt } from './misspelt.ts';
import { address, duration, oneOf } from './variable.ts';

/** One wrong environment variable: its name, and what it must be. */
export interface Fault {
  readonly variable: string;
  readonly message: string;
}

/**
 * A condition on more than one variable: a fault, or undefined where they meet it. Sees the parsed values, without those
 * of variables that are not set or have a fault of their own.
 */
export type Rule<Config> = (config: Partial<Config>) => Fault | undefined;

export type Environment = Readonly<Record<string, string | undefined>>;

export type Parsed<T> = { ok: true; config: Readonly<T> } | { ok: false; faults: readonly Fault[] };

/** What the variables of `shape` are parsed into. */
export type ConfigOf<Shape extends z.ZodRawShape> = z.output<z.ZodObject<Shape>>;

/**
 * Parses the environment into a frozen object whose keys are the variables' own names. Reports every fault, not just
 * the first, and with them each name in the environment that looks like a misspelling of a variable in `shape`. A variable
 * that is set to the empty string counts as not set, as templates and compose files leave it.
 */
export function parseEnvironment<Shape extends z.ZodRawShape>(
  shape: Shape,
  env: Environment,
  rules: readonly Rule<ConfigOf<Shape>>[] = [],
): Parsed<ConfigOf<Shape>> {
  const set = new Map(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const values: Record<string, unknown> = {};
  const faults: Fault[] = [];
  for (const [variable, type] of Object.entries(shape)) {
    const { success, data, error } = z.safeParse(type, set.get(variable));
    if (!success)
      faults.push(...error.issues.map(({ message }) => ({ variable, message: `${variable} ${message}` })));
    else if (data !== undefined) values[variable] = data;
  }
  const faulty = new Set(faults.map(({ variable }) => variable));
  const broken = rules.flatMap(rule => rule(values as Partial<ConfigOf<Shape>>) ?? []);
  faults.push(...broken.filter(({ variable }) => !faulty.has(variable)));
  for (const { name, meant } of findMisspelt([...set.keys()], Object.keys(shape))) {
    faults.push({
      variable: name,
      message: `${name} is not a variable of this process: did you mean ${meant}?`,
    });
  }
  return faults.length === 0
    ? { ok: true, config: Object.freeze(values as ConfigOf<Shape>) }
    : { ok: false, faults };
}

/** The rule that `variable` is given, unless the flag `unless` is true. */
export function requiredUnless(variable: string, unless: string): Rule<Record<string, unknown>> {
  return config =>
    config[variable] === undefined && config[unless] !== true
      ? { variable, message: `${variable} is required, unless ${unless}=true` }
      : undefined;
}

/** The variables that every process has, next to those of its Redis. */
export const PROCESS_VARIABLES = {
  METRICS_ADDR: address.prefault(':9090'),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal').prefault('info'),
  SHUTDOWN_TIMEOUT: duration().prefault('25s'),
};
