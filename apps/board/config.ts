import { REDIS_VARIABLES } from '@flux-dispatch/queue/redis-config';
import {
  type ConfigOf,
  type Environment,
  type Parsed,
  PROCESS_VARIABLES,
  parseEnvironment,
} from '@flux-dispatch/runtime/env';
import {
  address,
  flag,
  matching,
  mountedFile,
  oneOf,
  requiredWith,
  variable,
} from '@flux-dispatch/runtime/variable';
import { isLoopback, parseNetworks } from './address.ts';
import { parsePassword } from './password.ts';

const BOARD_USERNAME = matching(/^[\x20-\x39\x3b-\x7e]{1,100}$/, '1 to 100 ASCII characters without colon');
const BOARD_PASSWORD_PATH = mountedFile(parsePassword);
const BOARD_PROXY_USER_HEADER = matching(
  /^(?!(?:authorization|cookie)$)[a-z0-9-]{1,100}$/i,
  'the name of the header in which the proxy gives the user',
).transform(name => name.toLowerCase());
const BOARD_TRUSTED_PROXIES = variable(
  parseNetworks,
  'a comma-separated list of addresses and networks such as 10.1.2.3 or 10.0.0.0/8',
);
const BOARD_AUTH = oneOf('basic', 'proxy', 'none').prefault('basic');

const VARIABLES = {
  ...PROCESS_VARIABLES,
  ...REDIS_VARIABLES,
  BOARD_ADDR: address.prefault(':3000'),
  BOARD_AUTH,
  BOARD_USERNAME: BOARD_USERNAME.optional(),
  BOARD_PASSWORD_PATH: BOARD_PASSWORD_PATH.optional(),
  BOARD_PROXY_USER_HEADER: BOARD_PROXY_USER_HEADER.optional(),
  BOARD_TRUSTED_PROXIES: BOARD_TRUSTED_PROXIES.optional(),
  BOARD_READ_ONLY: flag.prefault('false'),
};

const BASIC = {
  ...VARIABLES,
  BOARD_AUTH: oneOf('basic').prefault('basic'),
  BOARD_USERNAME: requiredWith('BOARD_AUTH=basic', BOARD_USERNAME),
  BOARD_PASSWORD_PATH: requiredWith('BOARD_AUTH=basic', BOARD_PASSWORD_PATH),
};

const PROXY = {
  ...VARIABLES,
  BOARD_AUTH: oneOf('proxy'),
  BOARD_PROXY_USER_HEADER: requiredWith('BOARD_AUTH=proxy', BOARD_PROXY_USER_HEADER),
  BOARD_TRUSTED_PROXIES: requiredWith('BOARD_AUTH=proxy', BOARD_TRUSTED_PROXIES),
};

const NONE = {
  ...VARIABLES,
  BOARD_AUTH: oneOf('none'),
  BOARD_ADDR: VARIABLES.BOARD_ADDR.refine(({ host }) => isLoopback(host), {
    error: 'must be a loopback address such as 127.0.0.1:3000 with BOARD_AUTH=none',
  }),
};

/** `BOARD_AUTH` says which: what is required depends on it. */
export type BoardConfig = ConfigOf<typeof BASIC> | ConfigOf<typeof PROXY> | ConfigOf<typeof NONE>;

export function parseBoardConfig(env: Environment): Parsed<BoardConfig> {
  const { data: auth } = BOARD_AUTH.safeParse(env['BOARD_AUTH'] || undefined);
  switch (auth) {
    case 'basic':
      return parseEnvironment(BASIC, env);
    case 'proxy':
      return parseEnvironment(PROXY, env);
    case 'none':
      return parseEnvironment(NONE, env);
    case undefined: {
      const parsed = parseEnvironment(VARIABLES, env);
      if (parsed.ok) throw new Error('BOARD_AUTH was accepted with a value that it cannot have');
      return parsed;
    }
    default:
      return auth satisfies never;
  }
}
