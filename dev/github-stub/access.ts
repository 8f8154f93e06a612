import type { RouterContext } from '@koa/router';
import type { Middleware } from 'koa';
import { type RequestState, refuse, refuseSuspended } from './answer.ts';
import { grants, type Installations, type Permissions } from './installations.ts';
import type { Repositories, Repository } from './repositories.ts';

/** What an endpoint of a repository asks of its caller. */
export interface Access {
  readonly permission: 'actions' | 'administration' | 'contents' | 'metadata';
  readonly level: 'read' | 'write';
  /** What its refusals point to. */
  readonly docs: string;
}

type Handler = (ctx: RouterContext<RequestState>, repository: Repository) => void | Promise<void>;

/**
 * Makes the guard of the endpoints under `/repos/{owner}/{repo}`. It calls the handler for an installation token that
 * has the permission there, and refuses anyone else as GitHub does.
 */
export function createGuard(github: {
  readonly installations: Installations;
  readonly repositories: Repositories;
  /** What the App may do at present, whatever its tokens were issued with. */
  permissions(): Permissions;
}) {
  const { installations, repositories, permissions } = github;
  return ({ permission, level, docs }: Access, handle: Handler): Middleware<RequestState> =>
    async ctx => {
      const { owner = '', repo = '' } = (ctx as RouterContext<RequestState>).params;
      const { caller } = ctx.state;
      if (caller.kind !== 'installation') return refuse(ctx, 401, 'Bad credentials');
      const { installation, repositories: selection, permissions: granted } = caller.grant;
      if (installations.suspendedAt(installation) !== null) return refuseSuspended(ctx, docs);
      const repository = repositories.find(owner, repo);
      const selected = selection === 'all' || selection.has(repo.toLowerCase());
      if (!selected || owner.toLowerCase() !== installation.owner.toLowerCase() || !repository) {
        return refuse(ctx, 404, 'Not Found', docs);
      }
      ctx.set('x-accepted-github-permissions', `${permission}=${level}`);
      if (![granted, permissions()].every(held => grants(held[permission], level))) {
        return refuse(ctx, 403, 'Resource not accessible by integration', docs);
      }
      await handle(ctx as RouterContext<RequestState>, repository);
    };
}

export type Guard = ReturnType<typeof createGuard>;
