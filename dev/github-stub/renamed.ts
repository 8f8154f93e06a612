import type { Middleware } from 'koa';
import { repositoryId } from './repository-name.ts';

/**
 * Repositories that were renamed or transferred. As at GitHub, a request for the old name is redirected to the
 * repository's number, with 301 where it reads and else with 307, and the number stands for the new name.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
 */
export class RenamedRepositories {
  #newNames: ReadonlyMap<string, string> = new Map();

  /** Replaces what was renamed before. Old names to new ones, both "owner/name". */
  set(renamed: Readonly<Record<string, string>>): void {
    this.#newNames = new Map(Object.entries(renamed).map(([from, to]) => [from.toLowerCase(), to]));
  }

  redirects(): Middleware {
    return async (ctx, next) => {
      const [, root, ...rest] = ctx.path.split('/');
      const newName = this.#newNames.get(rest.slice(0, 2).join('/').toLowerCase());
      if (root === 'repos' && newName !== undefined) {
        const path = ['/repositories', repositoryId(newName), ...rest.slice(2)].join('/');
        const url = `${ctx.protocol}://${ctx.host}${path}${ctx.search}`;
        ctx.status = ctx.method === 'GET' ? 301 : 307;
        ctx.set('location', url);
        ctx.body = { message: 'Moved Permanently', url, documentation_url: 'https://docs.github.com/rest' };
        return;
      }
      const numbered = [...this.#newNames.values()].find(name => String(repositoryId(name)) === rest[0]);
      if (root === 'repositories' && numbered !== undefined) {
        ctx.path = ['/repos', numbered, ...rest.slice(1)].join('/');
      }
      await next();
    };
  }
}
