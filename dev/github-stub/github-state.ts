import type { InstallationTokens } from './app-auth.ts';
import type { ReceivedDispatch } from './dispatch.ts';
import type { Installations, Permissions } from './installations.ts';
import type { NumberedLog } from './numbered-log.ts';
import type { Repositories } from './repositories.ts';
import type { Runs } from './runs.ts';

/** What the endpoints know and change. */
export interface GitHubState {
  readonly appId: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly tokenTtlMs: number;
  readonly installations: Installations;
  readonly repositories: Repositories;
  readonly tokens: InstallationTokens;
  readonly dispatches: NumberedLog<Omit<ReceivedDispatch, 'id'>>;
  readonly runs: Runs;
  /** What the App may do at present. */
  permissions(): Permissions;
  /** Epoch milliseconds. */
  now(): number;
}
