// GitHub's own alphabet for owners and repository names.
const REPOSITORY = /^[A-Za-z0-9._-]+\/[A-Za-z0-9._-]+$/;
// `.` and `..` would change the path of the API call that the name becomes a part of.
const DOTS_ONLY = /^\.+$/;

/** Whether a name is `owner/name` in GitHub's alphabet. */
export function isRepository(repository: string): boolean {
  return REPOSITORY.test(repository) && !repository.split('/').some(segment => DOTS_ONLY.test(segment));
}

/** The two parts of `owner/name`, in its own spelling. @throws for anything that {@link isRepository} refuses */
export function splitRepository(repository: string): { owner: string; name: string } {
  if (!isRepository(repository)) throw new Error(`${JSON.stringify(repository)} is not owner/name`);
  const slash = repository.indexOf('/');
  return { owner: repository.slice(0, slash), name: repository.slice(slash + 1) };
}
