import { REDIS_VARIABLES } from '@flux-dispatch/queue/redis';
import {
  address,
  type Environment,
  flag,
  matching,
  mountedFile,
  oneOf,
  PROCESS_VARIABLES,
  parseEnvironment,
  type Rule,
} from '@flux-dispatch/runtime/env';
import { z } from 'zod';
import { isLoopback, parseNetworks } from './client.ts';
import { parsePassword } from './password.ts';

const VARIABLES = {
  ...PROCESS_VARIABLES,
  ...REDIS_VARIABLES,
  BOARD_ADDR: address.prefault(':3000'),
  BOARD_AUTH: oneOf('basic', 'proxy', 'none').prefault('basic'),
  BOARD_USERNAME: matching(
    /^[\x20-\x39\x3b-\x7e]{1,100}$/,
    '1 to 100 ASCII characters without colon',
  ).optional(),
  BOARD_PASSWORD_PATH: mountedFile(content =>
    parsePassword(content).length === 0 ? 'is empty: it must hold the password of BOARD_USERNAME' : undefined,
  ).optional(),
  BOARD_PROXY_USER_HEADER: matching(
    /^(?!(?:authorization|cookie)$)[a-z0-9-]{1,100}$/i,
    'the name of the header in which the proxy gives the user',
  )
    .transform(name => name.toLowerCase())
    .optional(),
  BOARD_TRUSTED_PROXIES: z
    .string()
    .transform((value, context) => {
      const networks = parseNetworks(value);
      if (networks !== undefined) return networks;
      const must = 'a comma-separated list of addresses and networks such as 10.1.2.3 or 10.0.0.0/8';
      context.addIssue({ code: 'custom', message: `must be ${must}, not ${JSON.stringify(value)}` });
      return z.NEVER;
    })
    .optional(),
  BOARD_READ_ONLY: flag.prefault('false'),
};

export function parseBoardConfig(env: Environment) {
  return parseEnvironment(VARIABLES, env, [
    requiredWith('basic', 'BOARD_USERNAME'),
    requiredWith('basic', 'BOARD_PASSWORD_PATH'),
    requiredWith('proxy', 'BOARD_PROXY_USER_HEADER'),
    requiredWith('proxy', 'BOARD_TRUSTED_PROXIES'),
    loopbackWithoutAuth,
  ]);
}

export type BoardConfig = Extract<ReturnType<typeof parseBoardConfig>, { ok: true }>['config'];

function requiredWith(auth: 'basic' | 'proxy', variable: string): Rule {
  return env =>
    (env['BOARD_AUTH'] ?? 'basic') === auth && env[variable] === undefined
      ? { variable, message: `${variable} is required with BOARD_AUTH=${auth}` }
      : undefined;
}

const loopbackWithoutAuth: Rule = env => {
  if (env['BOARD_AUTH'] !== 'none') return undefined;
  const parsed = address.safeParse(env['BOARD_ADDR'] ?? ':3000');
  // A fault of its own already.
  if (!parsed.success || isLoopback(parsed.data?.host)) return undefined;
  return {
    variable: 'BOARD_ADDR',
    message: 'BOARD_ADDR must be a loopback address such as 127.0.0.1:3000 with BOARD_AUTH=none',
  };
};
