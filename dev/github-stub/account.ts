import { createHash } from 'node:crypto';

/** GitHub's "simple user". Whether an owner is a user or an organization is not modelled: all are the latter. */
export function account(login: string, api: string, type: 'Organization' | 'Bot' = 'Organization') {
  const id = stableId(`account:${login.toLowerCase()}`);
  const name = encodeURIComponent(login);
  const url = `${api}/users/${name}`;
  return {
    login,
    id,
    node_id: nodeId(`${type}:${id}`),
    avatar_url: `https://avatars.githubusercontent.com/u/${id}`,
    gravatar_id: '',
    url,
    html_url: `https://github.com/${name}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type,
    site_admin: false,
  };
}

/** Eight digits that depend on nothing but the name. */
export function stableId(name: string): number {
  return 10_000_000 + (createHash('sha256').update(name).digest().readUInt32BE() % 90_000_000);
}

export function nodeId(name: string): string {
  return Buffer.from(name).toString('base64url');
}

/** A time as GitHub writes it: ISO 8601 in UTC, to the second. @param ms since the epoch */
export function timestamp(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000', '');
}
