import { ALLOWED_OWNERS_VARIABLE } from '@flux-dispatch/github/allowed-owners';
import { parsePrivateKey } from '@flux-dispatch/github/private-key';
import { REDIS_VARIABLES } from '@flux-dispatch/queue/redis-config';
import {
  type Environment,
  PROCESS_VARIABLES,
  parseEnvironment,
  requiredUnless,
} from '@flux-dispatch/runtime/env';
import {
  duration,
  flag,
  httpUrl,
  integer,
  matching,
  mountedFile,
  oneOf,
  rate,
} from '@flux-dispatch/runtime/variable';

const VARIABLES = {
  ...PROCESS_VARIABLES,
  ...REDIS_VARIABLES,
  ...ALLOWED_OWNERS_VARIABLE,
  GITHUB_APP_ID: matching(/^[A-Za-z0-9._-]{1,100}$/, "the GitHub App's id or client id").optional(),
  GITHUB_PRIVATE_KEY_PATH: mountedFile(parsePrivateKey).optional(),
  GITHUB_INSTALLATION_ID: integer(1, Number.MAX_SAFE_INTEGER).optional(),
  GITHUB_API_URL: httpUrl.prefault('https://api.github.com'),
  GITHUB_API_VERSION: matching(
    /^\d{4}-\d{2}-\d{2}$/,
    "a version of GitHub's REST API such as 2026-03-10",
  ).prefault('2026-03-10'),
  DISPATCH_CONCURRENCY: integer(1, 1000).prefault('16'),
  DISPATCH_TIMEOUT: duration({ min: '10ms' }).prefault('10s'),
  DISPATCH_RETRY_WINDOW: duration().prefault('6h'),
  DISPATCH_RATE: rate.prefault('8/3s'),
  DEAD_LETTER_COOLDOWN: duration({ min: '0s' }).prefault('1h'),
  DEAD_LETTER_RETENTION: duration().prefault('14d'),
  RUN_RECEIPTS: oneOf('auto', 'off').prefault('auto'),
  RUN_START_TIMEOUT: duration({ min: '1s' }).prefault('10m'),
  RUN_FOLLOW_TIMEOUT: duration({ min: '1s' }).prefault('6h'),
  RUN_RETENTION: duration({ min: '1s' }).prefault('7d'),
  DRY_RUN: flag.prefault('false'),
};

export function parseDispatcherConfig(env: Environment) {
  return parseEnvironment(VARIABLES, env, [
    requiredUnless('GITHUB_APP_ID', 'DRY_RUN'),
    requiredUnless('GITHUB_PRIVATE_KEY_PATH', 'DRY_RUN'),
  ]);
}

export type DispatcherConfig = Extract<ReturnType<typeof parseDispatcherConfig>, { ok: true }>['config'];
