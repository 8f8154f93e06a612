import { isAllowedOwner } from '@flux-dispatch/github/allowed-owners';
import { quote } from './text.ts';

/** Why a dispatch to one of the repositories is not allowed, in one line; undefined where all are allowed. */
export function policyFault(
  repositories: readonly string[],
  { ALLOWED_OWNERS }: { readonly ALLOWED_OWNERS: readonly string[] },
): string | undefined {
  const refused = repositories.find(repo => !isAllowedOwner(repo, ALLOWED_OWNERS));
  if (refused === undefined) return undefined;
  return `dispatch_repo ${quote(refused)}: its owner must be one of ${ALLOWED_OWNERS.join(', ')}`;
}
