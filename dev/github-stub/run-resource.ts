import { createHash } from 'node:crypto';
import { account, nodeId, stableId, timestamp } from './account.ts';
import type { RegisteredWorkflow, Repository } from './repositories.ts';
import { htmlUrl, minimalRepository } from './repository-resource.ts';
import type { Run, RunState } from './runs.ts';

/** A workflow's number, which depends on nothing but the names of the repository and the file. */
function workflowId(repositoryId: number, path: string): number {
  return stableId(`workflow:${repositoryId}:${path}`);
}

/** GitHub's "workflow". @param createdAt epoch milliseconds @param api the base URL of this API */
export function workflowResource(
  repository: Repository,
  { path, name, state, branch }: RegisteredWorkflow,
  { api, createdAt }: { api: string; createdAt: number },
) {
  const id = workflowId(repository.id, path);
  const page = htmlUrl(repository);
  return {
    id,
    node_id: nodeId(`Workflow:${id}`),
    name,
    path,
    state,
    created_at: new Date(createdAt).toISOString(),
    updated_at: new Date(createdAt).toISOString(),
    url: `${api}/repos/${repository.owner}/${repository.name}/actions/workflows/${id}`,
    html_url: `${page}/blob/${encodeURI(branch)}/${encodeURI(path)}`,
    badge_url: `${page}/workflows/${encodeURIComponent(name)}/badge.svg`,
  };
}

/** GitHub's "workflow run". @param api the base URL of this API */
export function runResource(run: Run, { status, conclusion, updatedAt }: RunState, api: string) {
  const { id, owner, repo, branch, workflow, repositoryId } = run;
  const repository = minimalRepository({ id: repositoryId, owner, name: repo }, api);
  const actor = account('flux-dispatch[bot]', api, 'Bot');
  const actions = `${api}/repos/${owner}/${repo}/actions`;
  const url = `${actions}/runs/${id}`;
  const sha = createHash('sha1').update(`${repositoryId} ${branch}`).digest('hex');
  const workflow_id = workflowId(repositoryId, workflow.path);
  const author = { name: 'Octo Cat', email: 'octocat@github.com' };
  return {
    id,
    name: workflow.name,
    node_id: nodeId(`WorkflowRun:${id}`),
    head_branch: branch,
    head_sha: sha,
    path: workflow.path,
    display_title: run.title,
    run_number: run.runNumber,
    event: 'repository_dispatch',
    status,
    conclusion,
    workflow_id,
    check_suite_id: id,
    check_suite_node_id: nodeId(`CheckSuite:${id}`),
    url,
    html_url: `${htmlUrl({ owner, name: repo })}/actions/runs/${id}`,
    pull_requests: [],
    created_at: timestamp(run.createdAt),
    updated_at: timestamp(updatedAt),
    actor,
    run_attempt: 1,
    referenced_workflows: [],
    run_started_at: timestamp(run.createdAt),
    triggering_actor: actor,
    jobs_url: `${url}/jobs`,
    logs_url: `${url}/logs`,
    check_suite_url: `${api}/repos/${owner}/${repo}/check-suites/${id}`,
    artifacts_url: `${url}/artifacts`,
    cancel_url: `${url}/cancel`,
    rerun_url: `${url}/rerun`,
    previous_attempt_url: null,
    workflow_url: `${actions}/workflows/${workflow_id}`,
    head_commit: {
      ...{ id: sha, tree_id: sha, message: 'Listen to flux-dispatch', timestamp: timestamp(run.createdAt) },
      ...{ author, committer: author },
    },
    repository,
    head_repository: repository,
  };
}
