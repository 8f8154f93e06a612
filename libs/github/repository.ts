// GitHub's own alphabet for owners and repository names.
const REPOSITORY = /^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/;
// `.` and `..` would change the path of the API call that the name becomes a part of.
const DOTS_ONLY = /^\.+$/;

/** Whether a name is `owner/name` in GitHub's alphabet. */
export function isRepository(repository: string): boolean {
  return REPOSITORY.test(repository) && !repository.split('/').some(segment => DOTS_ONLY.test(segment));
}

/** The owner of `owner/name`. */
export function ownerOf(repository: string): string {
  return repository.slice(0, repository.indexOf('/'));
}

/** Whether a repository's owner is one of `owners`. GitHub's names ignore case. */
export function isAllowedOwner(repository: string, owners: readonly string[]): boolean {
  const owner = ownerOf(repository).toLowerCase();
  return owners.some(allowed => allowed.toLowerCase() === owner);
}
