import type Router from '@koa/router';
import type { Guard } from './access.ts';
import { apiUrl, DOCS, type RequestState, refuse } from './answer.ts';
import type { GitHubState } from './github-state.ts';
import { paginate } from './paging.ts';
import type { Repository } from './repositories.ts';
import { MAX_SEARCH_RESULTS, runFilter } from './run-filter.ts';
import { runResource, workflowResource } from './run-resource.ts';
import { stateAt } from './runs.ts';

const DOCS_RUNS = `${DOCS}/actions/workflow-runs#list-workflow-runs-for-a-repository`;
const DOCS_RUN = `${DOCS}/actions/workflow-runs#get-a-workflow-run`;
const DOCS_PERMISSIONS = `${DOCS}/actions/permissions#get-github-actions-permissions-for-a-repository`;
const DOCS_WORKFLOWS = `${DOCS}/actions/workflows#list-repository-workflows`;

/**
 * Workflows and their runs. Where Actions is disabled for the repository, both lists answer 200 as usual: the workflows
 * keep their state, and the runs are those from before. GitHub does not document this. It rests on reports of users: the
 * list of runs is no error for repositories with Actions disabled (https://github.com/self-actuated/actions-usage/issues/13),
 * and with Actions disabled for an account the workflows stayed `active`. The setting itself is in
 * `GET …/actions/permissions`, which needs the permission "Administration: read".
 */
export function addActionsRoutes(router: Router<RequestState>, guard: Guard, github: GitHubState): void {
  const { createdAt, runs, now } = github;
  const read = (docs: string) => ({ permission: 'actions', level: 'read', docs }) as const;

  const currentRuns = (repository: Repository) => {
    const nowMs = now();
    return runs.of(repository, nowMs).flatMap(run => {
      const state = stateAt(run, nowMs);
      return state ? [{ run, state }] : [];
    });
  };

  router.get(
    '/repos/:owner/:repo/actions/runs',
    guard(read(DOCS_RUNS), (ctx, repository) => {
      const asked = runFilter(ctx.query);
      if ('fault' in asked) return refuse(ctx, 422, asked.fault, DOCS_RUNS);
      const { filter } = asked;
      const all = currentRuns(repository);
      const found = filter ? all.filter(({ run, state }) => filter(run, state)) : all;
      const listed = paginate(ctx, filter ? found.slice(0, MAX_SEARCH_RESULTS) : found);
      const api = apiUrl(ctx);
      ctx.body = {
        total_count: found.length,
        workflow_runs: listed.map(({ run, state }) => runResource(run, state, api)),
      };
    }),
  );

  router.get(
    '/repos/:owner/:repo/actions/runs/:run_id',
    guard(read(DOCS_RUN), (ctx, repository) => {
      const found = currentRuns(repository).find(({ run }) => String(run.id) === ctx.params['run_id']);
      if (!found) return refuse(ctx, 404, 'Not Found', DOCS_RUN);
      ctx.body = runResource(found.run, found.state, apiUrl(ctx));
    }),
  );

  const readSetting = { permission: 'administration', level: 'read', docs: DOCS_PERMISSIONS } as const;
  router.get(
    '/repos/:owner/:repo/actions/permissions',
    guard(readSetting, (ctx, { actionsDisabled }) => {
      // The other fields are about what enabled workflows may use.
      ctx.body = actionsDisabled
        ? { enabled: false }
        : { enabled: true, allowed_actions: 'all', sha_pinning_required: false };
    }),
  );

  router.get(
    '/repos/:owner/:repo/actions/workflows',
    guard(read(DOCS_WORKFLOWS), (ctx, repository) => {
      const { workflows } = repository;
      const listed = paginate(ctx, workflows);
      const api = apiUrl(ctx);
      ctx.body = {
        total_count: workflows.length,
        workflows: listed.map(workflow => workflowResource(repository, workflow, { api, createdAt })),
      };
    }),
  );
}
