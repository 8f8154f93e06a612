import type { Octokit } from '@octokit/rest';
import { Moved } from './api-result.ts';
import type { Credentials } from './client.ts';
import { splitRepository } from './repository.ts';

export interface InstallationsOptions {
  readonly newClient: (credentials: Credentials) => Octokit;
  /** Where it is set, it is the installation of every owner, and none is looked up. */
  readonly installationId?: number | undefined;
  /** A clock that only goes forward, in milliseconds. */
  readonly now?: (() => number) | undefined;
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
  /**
   * Rejects with what Octokit throws when the look-up fails, or with `Moved`. A 404 is about this very repository. What
   * fails is not kept.
   */
  readonly client: Promise<Octokit>;
  /**
   * Forgets it with its token, for which GitHub refused a call: at most once a minute for an owner, as a cause that lasts
   * would otherwise cost a look-up and a token for each call.
   * @returns whether another try would use another token
   */
  evict(): boolean;
  /**
   * Has the next call look it up again, at most once a minute for an owner: a 404 may mean that the App was installed
   * anew, but also that a repository is misspelt. The token goes on to be used unless it is another installation by then.
   */
  doubt(): void;
}

interface Found {
  readonly id: number;
  readonly client: Octokit;
}

/** What is known for an owner. */
interface Known {
  current: Promise<Found> | undefined;
  /** What was current until {@link Installation.doubt}. */
  doubted: Promise<Found> | undefined;
  evictedAt: number;
  doubtedAt: number;
}

const ONCE_IN_MS = 60_000;

export function createInstallations(options: InstallationsOptions): Installations {
  const { newClient, installationId, now = () => performance.now() } = options;
  // By the owner in lower case: GitHub's names ignore case.
  const byOwner = new Map<string, Known>();
  let key: string | undefined;

  function signed(who: Omit<Credentials, 'privateKey'>): Octokit {
    if (key === undefined) throw new Error('signWith must be called before an installation is looked up');
    return newClient({ privateKey: key, ...who });
  }

  function knownOf(owner: string): Known {
    const known = byOwner.get(owner.toLowerCase()) ?? {
      ...{ current: undefined, doubted: undefined },
      ...{ evictedAt: Number.NEGATIVE_INFINITY, doubtedAt: Number.NEGATIVE_INFINITY },
    };
    byOwner.set(owner.toLowerCase(), known);
    return known;
  }

  async function lookUpId(owner: string, repo: string): Promise<number> {
    if (installationId !== undefined) return installationId;
    // By repository rather than by organization or user: one call serves both, and 404 says that the App is not installed
    // on this repository.
    const { data } = await signed({}).request('GET /repos/{owner}/{repo}/installation', { owner, repo });
    const account = data.account && 'login' in data.account ? data.account.login : owner;
    // GitHub redirects to where a repository was transferred. That owner's installation must not become this owner's.
    if (account.toLowerCase() !== owner.toLowerCase()) throw new Moved(account);
    return data.id;
  }

  async function lookUp(owner: string, repo: string, before: Promise<Found> | undefined): Promise<Found> {
    const id = await lookUpId(owner, repo);
    const found = await before;
    return found?.id === id ? found : { id, client: signed({ installationId: id }) };
  }

  return {
    signWith(privateKey) {
      if (privateKey !== key) byOwner.clear();
      key = privateKey;
    },
    on(repository) {
      const { owner, name } = splitRepository(repository);
      const known = knownOf(owner);
      const cached = known.current;
      let used = cached;
      const lookUpNow = () => {
        const before = known.doubted;
        const found = lookUp(owner, name, before);
        known.current = used = found;
        found.then(
          () => {
            if (known.current === found) known.doubted = undefined;
          },
          () => {
            if (known.current === found) known.current = before;
          },
        );
        return found;
      };
      // A look-up under way may be another repository's, whose fate says nothing about this one.
      const joined = cached?.catch(error => {
        if (error.status !== 404 && !(error instanceof Moved)) throw error;
        return lookUpNow();
      });
      return {
        cached: cached !== undefined,
        client: (joined ?? lookUpNow()).then(({ client }) => client),
        evict() {
          if (known.doubted === used) known.doubted = undefined;
          if (known.current !== used) return true;
          if (now() - known.evictedAt < ONCE_IN_MS) return false;
          known.evictedAt = now();
          known.current = known.doubted = undefined;
          return true;
        },
        doubt() {
          if (known.current !== used || now() - known.doubtedAt < ONCE_IN_MS) return;
          known.doubtedAt = now();
          known.doubted = used;
          known.current = undefined;
        },
      };
    },
  };
}
