import type { Octokit } from '@octokit/rest';
import type { Credentials } from './client.ts';
import { splitRepository } from './repository.ts';

export interface InstallationsOptions {
  readonly newClient: (credentials: Credentials) => Octokit;
  /** Where it is set, it is the installation of every owner, and none is looked up. */
  readonly installationId?: number | undefined;
}

/** The App's installations, one for each owner, looked up once and kept with their tokens. */
export interface Installations {
  /**
   * Sets the App's private key, PKCS #8 PEM, for all calls from now on. Where it is a new one, everything that was looked
   * up with the old one is forgotten.
   */
  signWith(privateKey: string): void;
  /** The installation on a repository, `owner/name`. */
  on(repository: string): Installation;
}

export interface Installation {
  /** Whether an earlier call has looked it up, or is about to: then it may be out of date. */
  readonly cached: boolean;
  /** Rejects with what Octokit throws when the look-up fails. A 404 is about this very repository. */
  readonly client: Promise<Octokit>;
  /** Forgets it, unless another call has looked its owner up again by now. */
  evict(): void;
}

export function createInstallations({ newClient, installationId }: InstallationsOptions): Installations {
  // By the owner in lower case: GitHub's names ignore case.
  const byOwner = new Map<string, Promise<Octokit>>();
  let key: string | undefined;

  function signed(who: Omit<Credentials, 'privateKey'>): Octokit {
    if (key === undefined) throw new Error('signWith must be called before an installation is looked up');
    return newClient({ privateKey: key, ...who });
  }

  async function lookUp(owner: string, repo: string): Promise<Octokit> {
    if (installationId !== undefined) return signed({ installationId });
    // By repository rather than by organization or user: one call serves both, and 404 says that the App is not installed
    // on this repository.
    const { data } = await signed({}).request('GET /repos/{owner}/{repo}/installation', { owner, repo });
    return signed({ installationId: data.id });
  }

  return {
    signWith(privateKey) {
      if (privateKey !== key) byOwner.clear();
      key = privateKey;
    },
    on(repository) {
      const { owner, name } = splitRepository(repository);
      const cacheKey = owner.toLowerCase();
      const known = byOwner.get(cacheKey);
      let used = known;
      const lookUpNow = () => {
        used = lookUp(owner, name);
        byOwner.set(cacheKey, used);
        return used;
      };
      // A look-up under way may be another repository's, whose 404 says nothing about this one.
      const joined = known?.catch(error => {
        if (error.status !== 404) throw error;
        return lookUpNow();
      });
      return {
        cached: known !== undefined,
        client: joined ?? lookUpNow(),
        evict() {
          if (byOwner.get(cacheKey) === used) byOwner.delete(cacheKey);
        },
      };
    },
  };
}
