import type { GitHub } from '@flux-dispatch/github/github';

// Dispatches need what is left of the hourly limit below this share.
const RESERVED_SHARE = 0.1;
const LONGEST_WAIT_MS = 300_000;

/** For how long receipts of a repository leave the rest of the hourly limit to dispatches, in milliseconds; 0: they need not. */
export function reservedForMs(github: Pick<GitHub, 'quota'>, repo: string): number {
  const quota = github.quota(repo);
  return quota && quota.left < RESERVED_SHARE ? Math.min(quota.resetInMs, LONGEST_WAIT_MS) : 0;
}
