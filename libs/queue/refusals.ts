import type { Logger } from '@flux-dispatch/runtime/log';

const NO_CLUSTER =
  'This node of a Redis Cluster does not serve the keys under QUEUE_PREFIX: use a Redis that is not a cluster';

/**
 * What a Redis that answers refuses commands with, and what to do about it. A script's error begins like that of the
 * command that failed in it.
 */
const REFUSALS: readonly { readonly pattern: RegExp; readonly remedy: string; readonly passes?: true }[] = [
  {
    pattern: /^OOM\b/,
    remedy: 'Redis is out of memory: raise maxmemory, or remove what else it holds',
    passes: true,
  },
  {
    pattern: /^MISCONF\b/,
    remedy: 'Redis cannot write to its disk: free some space there, or see its log',
    passes: true,
  },
  {
    pattern: /^NOREPLICAS\b/,
    remedy: 'Fewer replicas than min-replicas-to-write are connected: bring them back, or lower the number',
    passes: true,
  },
  {
    pattern: /^READONLY\b/,
    remedy: 'It is a read-only replica: REDIS_URL must lead to the primary',
    passes: true,
  },
  { pattern: /^(LOADING|MASTERDOWN|BUSY)\b/, remedy: 'It is not ready: wait, or see its log', passes: true },
  { pattern: /^(CLUSTERDOWN|TRYAGAIN)\b/, remedy: NO_CLUSTER, passes: true },
  { pattern: /^(MOVED|ASK|CROSSSLOT)\b/, remedy: NO_CLUSTER },
  {
    pattern: /^WRONGTYPE\b/,
    remedy: 'A key under QUEUE_PREFIX holds a value that flux-dispatch did not write: remove it',
  },
  {
    pattern: /^NOPERM\b|The user executing the script can't|ACL failure in script/,
    remedy:
      'The ACL of this Redis user forbids it: allow the user all commands on the keys under QUEUE_PREFIX',
  },
];

/** Commands that a process can do without. */
const DISPENSABLE = new Set(['info', 'client', 'hello', 'config', 'command']);

/** What Redis refuses a command with, and what to do about it. */
export interface Refusal {
  /** Without what differs from one command to the next. */
  readonly reason: string;
  readonly remedy: string;
  /** Whether Redis will take the same command later. */
  readonly passes: boolean;
}

/** Reads an error as the refusal of a Redis that answers; undefined where it is something else. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const found = REFUSALS.find(({ pattern }) => pattern.test(error.message));
  if (!found) return undefined;
  // A script's error ends in "script: 6aff03ec…, on @user_script:1.", that of a cluster in a slot and an address.
  const reason = error.message
    .replace(/ script: \w+, on @.*$/s, '')
    .replace(/^(MOVED|ASK) .*$/s, '$1')
    .replace(/\.$/, '');
  return { reason, remedy: found.remedy, passes: found.passes ?? false };
}

/** A refusal in one line, for an answer or a probe. */
export function refusalText({ reason, remedy }: Pick<Refusal, 'reason' | 'remedy'>): string {
  return `Redis refuses writes: ${reason}. ${remedy}`;
}

/** Why a command failed, in one line for an answer or a probe. */
export function failureText(error: unknown): string {
  const refusal = refusalOf(error);
  return refusal ? refusalText(refusal) : `Redis: ${(error as Error).message}`;
}

/** Logs each refusal twice, whichever connection it comes from: when it begins and when it is over. */
export interface RefusalLog {
  /** Reports an error with which Redis has answered a command. */
  notice(error: Error): void;
  /** Logs which refusals are over. Call it every few seconds while Redis takes writes. */
  takesWrites(): void;
}

// Workers and the probe try again every 5 s, so what Redis has not refused for three times as long is over.
const OVER_AFTER_MS = 15_000;
// In case a server words the same refusal differently each time.
const MAX_REASONS = 20;

/** @param now milliseconds, on a clock that only goes forward */
export function createRefusalLog(
  log: Pick<Logger, 'warn' | 'info'>,
  now: () => number = () => performance.now(),
): RefusalLog {
  /** When each was last seen, by its reason. */
  const seen = new Map<string, number>();
  return {
    notice(error) {
      const { command } = error as Error & { command?: { name?: string } };
      const refusal = refusalOf(error);
      if (!refusal || DISPENSABLE.has(command?.name?.toLowerCase() ?? '')) return;
      const { reason, remedy } = refusal;
      const isNew = !seen.has(reason);
      if (isNew && seen.size >= MAX_REASONS) return;
      seen.set(reason, now());
      if (isNew) log.warn({ reason, command: command?.name }, `Redis refuses writes. ${remedy}`);
    },
    takesWrites() {
      for (const [reason, at] of seen) {
        if (now() - at < OVER_AFTER_MS) continue;
        seen.delete(reason);
        log.info({ reason }, 'Redis takes writes again');
      }
    },
  };
}
