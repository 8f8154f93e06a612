import { list } from '@flux-dispatch/runtime/variable';
import { splitRepository } from './repository.ts';

/** The variable of every process that checks to whom a dispatch goes: ingest for events, dispatcher for queued jobs. */
export const ALLOWED_OWNERS_VARIABLE = {
  ALLOWED_OWNERS: list(
    /^[A-Za-z0-9._-]+$/,
    'a comma-separated list of GitHub organizations or users',
  ).prefault('Altinn'),
};

/** Whether the owner of a repository, `owner/name`, is one of `owners`. GitHub's names ignore case. */
export function isAllowedOwner(repository: string, owners: readonly string[]): boolean {
  const owner = splitRepository(repository).owner.toLowerCase();
  return owners.some(allowed => allowed.toLowerCase() === owner);
}
