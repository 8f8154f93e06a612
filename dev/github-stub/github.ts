import Router, { type RouterContext } from '@koa/router';
import type { Middleware, ParameterizedContext } from 'koa';
import { z } from 'zod';
import { type InstallationTokens, JWT_UNREADABLE, type TokenGrant } from './app-auth.ts';
import { checkDispatch, type DispatchLog } from './dispatch.ts';
import { appResource, type Installations, installationResource, PERMISSIONS } from './installations.ts';
import { readJson } from './json-body.ts';
import type { RateLimitState } from './rate-limit.ts';

const DOCS = 'https://docs.github.com/rest';
const DOCS_INSTALLATION = `${DOCS}/apps/apps#get-a-repository-installation-for-the-authenticated-app`;
const DOCS_TOKEN = `${DOCS}/apps/apps#create-an-installation-access-token-for-an-app`;
const DOCS_DISPATCH = `${DOCS}/repos/repos#create-a-repository-dispatch-event`;

/** Who sent a request, as far as it could prove it. */
export type Caller =
  | { readonly kind: 'app' }
  | { readonly kind: 'installation'; readonly grant: TokenGrant }
  | { readonly kind: 'stranger'; readonly message: string };

export interface RequestState {
  caller: Caller;
  /** The caller's name in the limits' books. */
  account: string;
  rateLimit: RateLimitState;
  dropped?: boolean;
}

/** What the endpoints know and change. */
export interface GitHubState {
  readonly appId: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly tokenTtlMs: number;
  readonly installations: Installations;
  readonly tokens: InstallationTokens;
  readonly log: DispatchLog;
  /** Whether there is such an owner, or such a repository. */
  exists(owner: string, repo?: string): boolean;
  /** Epoch milliseconds. */
  now(): number;
}

const tokenRequest = z.strictObject({
  repositories: z.array(z.string()).optional(),
  permissions: z.record(z.string(), z.string()).optional(),
});

/** GitHub's endpoints themselves, for callers who have been identified: a 401, 403, 404 or 422 is as GitHub words it. */
export function githubRouter(github: GitHubState): Router<RequestState> {
  const { appId, createdAt, tokenTtlMs, installations, tokens, log, exists, now } = github;
  const router = new Router<RequestState>();

  const appOnly: Middleware<RequestState> = async (ctx, next) => {
    const { caller } = ctx.state;
    if (caller.kind === 'app') return next();
    refuse(ctx, 401, caller.kind === 'stranger' ? caller.message : JWT_UNREADABLE);
  };

  router.get('/app', appOnly, ctx => {
    ctx.body = appResource(appId, createdAt, apiUrl(ctx));
  });

  const showInstallation = (ctx: RouterContext<RequestState>) => {
    const { owner = '', repo } = ctx.params;
    const installation = exists(owner, repo) ? installations.of(owner) : undefined;
    if (!installation) return refuse(ctx, 404, 'Not Found', DOCS_INSTALLATION);
    const suspendedAt = installations.suspendedAt(installation);
    ctx.body = installationResource(installation, { appId, createdAt, suspendedAt, api: apiUrl(ctx) });
  };
  router.get('/orgs/:owner/installation', appOnly, showInstallation);
  router.get('/users/:owner/installation', appOnly, showInstallation);
  router.get('/repos/:owner/:repo/installation', appOnly, showInstallation);

  router.post('/app/installations/:installation_id/access_tokens', appOnly, async ctx => {
    const installation = installations.withId(Number(ctx.params['installation_id']));
    if (!installation) return refuse(ctx, 404, 'Not Found', DOCS_TOKEN);
    if (installations.suspendedAt(installation) !== null) return refuseSuspended(ctx, DOCS_TOKEN);

    const body = await readJson(ctx.req);
    if (body.kind !== 'json') return refuseBody(ctx, body.kind, DOCS_TOKEN);
    const asked = tokenRequest.safeParse(body.value ?? {});
    if (!asked.success) {
      return refuse(ctx, 422, `Invalid request.\n\n${z.prettifyError(asked.error)}`, DOCS_TOKEN);
    }
    const { repositories, permissions = PERMISSIONS } = asked.data;
    if (!Object.entries(permissions).every(([name, level]) => grants(PERMISSIONS[name], level))) {
      return refuse(ctx, 422, 'The permissions requested are not granted to this installation.', DOCS_TOKEN);
    }
    if (repositories && !repositories.every(repo => exists(installation.owner, repo))) {
      const message =
        'There is at least one repository that does not exist or is not accessible to the parent installation.';
      return refuse(ctx, 422, message, DOCS_TOKEN);
    }

    const expiresAt = now() + tokenTtlMs;
    const selection = repositories ? new Set(repositories.map(repo => repo.toLowerCase())) : 'all';
    const grant: TokenGrant = { installation, permissions, repositories: selection, expiresAt };
    ctx.status = 201;
    ctx.body = {
      token: tokens.issue(grant, now()),
      expires_at: new Date(expiresAt).toISOString().replace(/\.\d+/, ''),
      permissions,
      repository_selection: repositories ? 'selected' : 'all',
    };
  });

  router.post('/repos/:owner/:repo/dispatches', async ctx => {
    const { owner = '', repo = '' } = ctx.params;
    const { caller } = ctx.state;
    if (caller.kind !== 'installation') return refuse(ctx, 401, 'Bad credentials');
    const { installation, repositories, permissions } = caller.grant;
    if (installations.suspendedAt(installation) !== null) return refuseSuspended(ctx, DOCS_DISPATCH);
    const selected = repositories === 'all' || repositories.has(repo.toLowerCase());
    if (!selected || owner.toLowerCase() !== installation.owner.toLowerCase() || !exists(owner, repo)) {
      return refuse(ctx, 404, 'Not Found', DOCS_DISPATCH);
    }
    if (!grants(permissions['contents'], 'write')) {
      return refuse(ctx, 403, 'Resource not accessible by integration', DOCS_DISPATCH);
    }

    const body = await readJson(ctx.req);
    if (body.kind !== 'json') return refuseBody(ctx, body.kind, DOCS_DISPATCH);
    const dispatch = checkDispatch(body.value);
    if (!dispatch.valid) return refuse(ctx, 422, dispatch.message, DOCS_DISPATCH);

    const { event_type, client_payload } = dispatch;
    const receivedAt = new Date(now()).toISOString();
    log.add({ receivedAt, owner, repo, event_type, client_payload, status: 204 });
    ctx.status = 204;
  });

  return router;
}

/** Where the caller reached this API. */
function apiUrl(ctx: ParameterizedContext): string {
  return `${ctx.protocol}://${ctx.host}`;
}

/** GitHub's shape of an error. */
export function refuse(ctx: ParameterizedContext, status: number, message: string, docs = DOCS): void {
  ctx.status = status;
  ctx.body = { message, documentation_url: docs, status: String(status) };
}

function refuseSuspended(ctx: ParameterizedContext, docs: string): void {
  refuse(ctx, 403, 'This installation has been suspended', docs);
}

function refuseBody(ctx: ParameterizedContext, kind: 'malformed' | 'too-large', docs: string): void {
  if (kind === 'malformed') refuse(ctx, 400, 'Problems parsing JSON', docs);
  else refuse(ctx, 413, 'Payload Too Large', docs);
}

/** Whether a permission held at the level `granted` includes the level `asked`. */
function grants(granted: string | undefined, asked: string): boolean {
  return granted === asked || (granted === 'write' && asked === 'read');
}
