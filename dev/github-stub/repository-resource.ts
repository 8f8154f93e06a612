import { account, nodeId, timestamp } from './account.ts';
import type { Permissions } from './installations.ts';
import type { Repository } from './repositories.ts';

/** Address templates below that of the repository, by the name of their field. */
const TEMPLATES: Readonly<Record<string, string>> = {
  archive_url: '{archive_format}{/ref}',
  assignees_url: 'assignees{/user}',
  blobs_url: 'git/blobs{/sha}',
  branches_url: 'branches{/branch}',
  collaborators_url: 'collaborators{/collaborator}',
  comments_url: 'comments{/number}',
  commits_url: 'commits{/sha}',
  compare_url: 'compare/{base}...{head}',
  contents_url: 'contents/{+path}',
  contributors_url: 'contributors',
  deployments_url: 'deployments',
  downloads_url: 'downloads',
  events_url: 'events',
  forks_url: 'forks',
  git_commits_url: 'git/commits{/sha}',
  git_refs_url: 'git/refs{/sha}',
  git_tags_url: 'git/tags{/sha}',
  hooks_url: 'hooks',
  issue_comment_url: 'issues/comments{/number}',
  issue_events_url: 'issues/events{/number}',
  issues_url: 'issues{/number}',
  keys_url: 'keys{/key_id}',
  labels_url: 'labels{/name}',
  languages_url: 'languages',
  merges_url: 'merges',
  milestones_url: 'milestones{/number}',
  notifications_url: 'notifications{?since,all,participating}',
  pulls_url: 'pulls{/number}',
  releases_url: 'releases{/id}',
  stargazers_url: 'stargazers',
  statuses_url: 'statuses/{sha}',
  subscribers_url: 'subscribers',
  subscription_url: 'subscription',
  tags_url: 'tags',
  teams_url: 'teams',
  trees_url: 'git/trees{/sha}',
};

/** Where the repository is on GitHub's web pages. */
export function htmlUrl({ owner, name }: Pick<Repository, 'owner' | 'name'>): string {
  return `https://github.com/${owner}/${name}`;
}

/** The repository as it stands within other answers. @param api the base URL of this API */
export function minimalRepository(
  { id, owner, name }: Pick<Repository, 'id' | 'owner' | 'name'>,
  api: string,
) {
  const url = `${api}/repos/${owner}/${name}`;
  const templates = Object.entries(TEMPLATES).map(([field, path]) => [field, `${url}/${path}`]);
  return {
    id,
    node_id: nodeId(`Repository:${id}`),
    name,
    full_name: `${owner}/${name}`,
    private: true,
    owner: account(owner, api),
    html_url: htmlUrl({ owner, name }),
    description: null,
    fork: false,
    url,
    ...Object.fromEntries(templates),
  };
}

/** The answer of `GET /repos/{owner}/{repo}`. @param createdAt epoch milliseconds */
export function fullRepository(
  repository: Repository,
  { api, createdAt, permissions }: { api: string; createdAt: number; permissions: Permissions },
) {
  const { owner, name, defaultBranch, archived } = repository;
  const at = timestamp(createdAt);
  const page = htmlUrl(repository);

  return {
    ...minimalRepository(repository, api),
    ...{ forks: 0, open_issues: 0, watchers: 0 },
    ...{ forks_count: 0, open_issues_count: 0, watchers_count: 0, stargazers_count: 0 },
    ...{ network_count: 0, subscribers_count: 0, size: 1 },
    ...{ created_at: at, updated_at: at, pushed_at: at },
    ...{ git_url: `git://github.com/${owner}/${name}.git`, ssh_url: `git@github.com:${owner}/${name}.git` },
    ...{ clone_url: `${page}.git`, svn_url: page, mirror_url: null, homepage: null },
    ...{ language: null, license: null, topics: [], visibility: 'private', is_template: false },
    ...{ has_issues: true, has_projects: true, has_wiki: true, has_pages: false, has_discussions: false },
    archived,
    // GitHub can disable a repository, for example for a breach of its terms. That is not modelled.
    disabled: false,
    default_branch: defaultBranch,
    permissions: {
      ...{ admin: false, maintain: false, triage: false },
      push: permissions['contents'] === 'write',
      pull: true,
    },
  };
}
