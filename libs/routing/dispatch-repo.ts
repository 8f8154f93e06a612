import { isRepository } from '@flux-dispatch/github/repository';
import { quote } from './text.ts';

const MAX_REPOSITORIES = 10;

export type ParsedRepositories = { ok: true; repositories: readonly string[] } | { ok: false; fault: string };

/**
 * Reads `dispatch_repo`: `owner/name`, or several of them separated by commas. GitHub's names ignore case, so a
 * repository counts once whatever its case, in the spelling that comes first. A fault says in one line what to change.
 */
export function parseDispatchRepo(value: string): ParsedRepositories {
  const byName = new Map<string, string>();
  for (const repo of splitList(value)) {
    if (!isRepository(repo)) {
      const fault = `dispatch_repo ${quote(repo)} must be owner/name, as in Altinn/dialogporten`;
      return { ok: false, fault };
    }
    const name = repo.toLowerCase();
    if (!byName.has(name)) byName.set(name, repo);
    if (byName.size > MAX_REPOSITORIES) {
      return { ok: false, fault: `dispatch_repo must name at most ${MAX_REPOSITORIES} repositories` };
    }
  }
  return { ok: true, repositories: [...byName.values()] };
}

/** Splits at commas, and drops the spaces (but no other white space) around them. */
function splitList(value: string): string[] {
  return value.split(',').map((entry, index, entries) => {
    let start = 0;
    let end = entry.length;
    if (index > 0) while (entry[start] === ' ') start++;
    if (index < entries.length - 1) while (end > start && entry[end - 1] === ' ') end--;
    return entry.slice(start, end);
  });
}
