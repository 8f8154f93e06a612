import Router from '@koa/router';
import { createGuard } from './access.ts';
import { addActionsRoutes } from './actions-routes.ts';
import type { RequestState } from './answer.ts';
import { addAppRoutes } from './app-routes.ts';
import type { GitHubState } from './github-state.ts';
import { addRepositoryRoutes } from './repository-routes.ts';

/** GitHub's endpoints themselves, for callers who have been identified: a 401, 403, 404 or 422 is as GitHub words it. */
export function githubRouter(github: GitHubState): Router<RequestState> {
  const router = new Router<RequestState>();
  const guard = createGuard(github);
  addAppRoutes(router, github);
  addRepositoryRoutes(router, guard, github);
  addActionsRoutes(router, guard, github);
  return router;
}
