import type Router from '@koa/router';
import type { RouterContext } from '@koa/router';
import type { Middleware } from 'koa';
import { z } from 'zod';
import { apiUrl, DOCS, type RequestState, refuse, refuseBody, refuseSuspended } from './answer.ts';
import { JWT_UNREADABLE, type TokenGrant } from './app-auth.ts';
import type { GitHubState } from './github-state.ts';
import { appResource, grants, installationResource } from './installations.ts';
import { readJson } from './json-body.ts';
import { isName } from './repository-name.ts';

const DOCS_INSTALLATION = `${DOCS}/apps/apps#get-a-repository-installation-for-the-authenticated-app`;
const DOCS_TOKEN = `${DOCS}/apps/apps#create-an-installation-access-token-for-an-app`;

const tokenRequest = z.strictObject({
  repositories: z.array(z.string()).optional(),
  permissions: z.record(z.string(), z.string()).optional(),
});

/** What the App does as itself, with its JWT: look up installations and get tokens for them. */
export function addAppRoutes(router: Router<RequestState>, github: GitHubState): void {
  const { appId, createdAt, tokenTtlMs, installations, repositories, tokens, now } = github;

  const appOnly: Middleware<RequestState> = async (ctx, next) => {
    const { caller } = ctx.state;
    if (caller.kind === 'app') return next();
    refuse(ctx, 401, caller.kind === 'stranger' ? caller.message : JWT_UNREADABLE);
  };

  router.get('/app', appOnly, ctx => {
    ctx.body = appResource({ appId, createdAt, permissions: github.permissions(), api: apiUrl(ctx) });
  });

  const showInstallation = (ctx: RouterContext<RequestState>) => {
    const { owner = '', repo } = ctx.params;
    const exists = repo === undefined ? isName(owner) : repositories.find(owner, repo) !== undefined;
    const installation = exists ? installations.of(owner) : undefined;
    if (!installation) return refuse(ctx, 404, 'Not Found', DOCS_INSTALLATION);
    const suspendedAt = installations.suspendedAt(installation);
    const permissions = github.permissions();
    const api = apiUrl(ctx);
    ctx.body = installationResource(installation, { appId, createdAt, suspendedAt, permissions, api });
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
    const held = github.permissions();
    const { repositories: names, permissions = held } = asked.data;
    if (!Object.entries(permissions).every(([name, level]) => grants(held[name], level))) {
      return refuse(ctx, 422, 'The permissions requested are not granted to this installation.', DOCS_TOKEN);
    }
    if (names && !names.every(repo => repositories.find(installation.owner, repo))) {
      const message =
        'There is at least one repository that does not exist or is not accessible to the parent installation.';
      return refuse(ctx, 422, message, DOCS_TOKEN);
    }

    const expiresAt = now() + tokenTtlMs;
    const selection = names ? new Set(names.map(repo => repo.toLowerCase())) : 'all';
    const grant: TokenGrant = { installation, permissions, repositories: selection, expiresAt };
    ctx.status = 201;
    ctx.body = {
      token: tokens.issue(grant, now()),
      expires_at: new Date(expiresAt).toISOString().replace(/\.\d+/, ''),
      permissions,
      repository_selection: names ? 'selected' : 'all',
    };
  });
}
