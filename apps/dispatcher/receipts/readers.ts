import { splitRepository } from '@flux-dispatch/github/repository';
import type { Logger } from '@flux-dispatch/runtime/log';

/** At which owners the App may read workflow runs, as far as GitHub has said. */
export interface Readers {
  /** Whether it is worth asking: false for a while after GitHub has refused it. */
  mayRead(repo: string): boolean;
  allowed(repo: string): void;
  /** Logs a warning the first time. */
  refused(repo: string, message: string): void;
  /** Whether there is an owner that refused it, and none that allowed it. */
  areAllRefused(): boolean;
}

// Whoever grants the permission later need not restart anything.
const ASK_AGAIN_MS = 600_000;

/** @param now milliseconds */
export function createReaders(log: Pick<Logger, 'warn'>, now: () => number): Readers {
  /** By owner: when it was refused; undefined where it was allowed since. */
  const refusedAt = new Map<string, number | undefined>();
  const ownerOf = (repo: string) => splitRepository(repo).owner.toLowerCase();
  return {
    mayRead: repo => now() - (refusedAt.get(ownerOf(repo)) ?? Number.NEGATIVE_INFINITY) >= ASK_AGAIN_MS,
    allowed: repo => void refusedAt.set(ownerOf(repo), undefined),
    refused(repo, message) {
      const owner = ownerOf(repo);
      if (refusedAt.get(owner) === undefined) {
        log.warn(
          { owner, error: message },
          'Not looking for workflow runs: the App lacks the permission "Actions: read". Grant it and accept it on the installation; dispatching works without it',
        );
      }
      refusedAt.set(owner, now());
    },
    areAllRefused: () => refusedAt.size > 0 && [...refusedAt.values()].every(at => at !== undefined),
  };
}
