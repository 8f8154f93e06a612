import { FAILURE_REASONS, SUCCESS_REASONS } from '@flux-dispatch/event/reasons';
import { ALLOWED_OWNERS_VARIABLE } from '@flux-dispatch/github/allowed-owners';
import { type Environment, type Fault, parseEnvironment } from '@flux-dispatch/runtime/env';
import { duration, list, matching, oneOf } from '@flux-dispatch/runtime/variable';
import { EVENT_TYPE } from './decide.ts';

const REASONS = list(/^[A-Za-z]{1,100}$/, 'a comma-separated list of Flux reasons');

/** The variables that decide what happens to an event, and with which status it is answered. */
export const ROUTING_VARIABLES = {
  ...ALLOWED_OWNERS_VARIABLE,
  REJECT_STATUS: oneOf('422', '200').transform(Number).prefault('422'),
  DEFAULT_DISPATCH_EVENT: matching(EVENT_TYPE.pattern, EVENT_TYPE.form).prefault('flux-deploy'),
  SUCCESS_REASONS: REASONS.prefault(SUCCESS_REASONS.join()),
  FAILURE_REASONS: REASONS.prefault(FAILURE_REASONS.join()),
  RATE_LIMIT_INTERVAL: duration().prefault('1h'),
  DEPENDENCY_GRACE: duration({ min: '0s' }).prefault('5m'),
};

/** The rule that no reason is both a success and a failure. */
export const disjointReasons = (config: {
  SUCCESS_REASONS?: string[];
  FAILURE_REASONS?: string[];
}): Fault | undefined => {
  const { SUCCESS_REASONS: successes = [], FAILURE_REASONS: failures = [] } = config;
  const both = successes.filter(reason => failures.includes(reason));
  if (both.length === 0) return undefined;
  return {
    variable: 'SUCCESS_REASONS',
    message: `SUCCESS_REASONS and FAILURE_REASONS must not share a reason: ${both.join(', ')}`,
  };
};

/** Parses the variables of routing alone, for what routes events without being ingest. */
export function parseRoutingConfig(env: Environment) {
  return parseEnvironment(ROUTING_VARIABLES, env, [disjointReasons]);
}

export type RoutingConfig = Extract<ReturnType<typeof parseRoutingConfig>, { ok: true }>['config'];

/** The configuration where no variable is set. */
export const DEFAULT_ROUTING: RoutingConfig = defaults();

function defaults(): RoutingConfig {
  const parsed = parseRoutingConfig({});
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('; '));
  return parsed.config;
}
