import type Router from '@koa/router';
import type { Guard } from './access.ts';
import { apiUrl, DOCS, type RequestState, refuse, refuseBody } from './answer.ts';
import { contentsAt } from './contents.ts';
import { checkDispatch } from './dispatch.ts';
import type { GitHubState } from './github-state.ts';
import { readJson } from './json-body.ts';
import { fullRepository } from './repository-resource.ts';

const DOCS_REPOSITORY = `${DOCS}/repos/repos#get-a-repository`;
const DOCS_CONTENT = `${DOCS}/repos/contents#get-repository-content`;
const DOCS_DISPATCH = `${DOCS}/repos/repos#create-a-repository-dispatch-event`;

/** A repository, its files, and the dispatches to it. */
export function addRepositoryRoutes(router: Router<RequestState>, guard: Guard, github: GitHubState): void {
  const { createdAt, dispatches, runs, now } = github;

  const readRepository = { permission: 'metadata', level: 'read', docs: DOCS_REPOSITORY } as const;
  router.get(
    '/repos/:owner/:repo',
    guard(readRepository, (ctx, repository) => {
      const permissions = github.permissions();
      ctx.body = fullRepository(repository, { api: apiUrl(ctx), createdAt, permissions });
    }),
  );

  const readContent = { permission: 'contents', level: 'read', docs: DOCS_CONTENT } as const;
  router.get(
    '/repos/:owner/:repo/contents{/*path}',
    guard(readContent, (ctx, repository) => {
      const path = (ctx.params['path'] ?? '').replace(/^\/+|\/+$/g, '');
      const ref = String(ctx.query['ref'] ?? repository.defaultBranch).replace(/^refs\/heads\//, '');
      const files = repository.branches.get(ref);
      if (!files) return refuse(ctx, 404, `No commit found for the ref ${ref}`, DOCS_CONTENT);
      const contents = contentsAt(files, path, { repository, ref, api: apiUrl(ctx) });
      if (!contents) return refuse(ctx, 404, 'Not Found', DOCS_CONTENT);
      ctx.body = contents;
    }),
  );

  const sendDispatch = { permission: 'contents', level: 'write', docs: DOCS_DISPATCH } as const;
  router.post(
    '/repos/:owner/:repo/dispatches',
    guard(sendDispatch, async (ctx, repository) => {
      if (repository.archived) {
        return refuse(ctx, 403, 'Repository was archived so is read-only.', DOCS_DISPATCH);
      }
      const body = await readJson(ctx.req);
      if (body.kind !== 'json') return refuseBody(ctx, body.kind, DOCS_DISPATCH);
      const checked = checkDispatch(body.value);
      if (!checked.valid) return refuse(ctx, 422, checked.message, DOCS_DISPATCH);

      const { event_type, client_payload } = checked;
      const { owner, name } = repository;
      const receivedMs = now();
      const receivedAt = new Date(receivedMs).toISOString();
      const dispatch = dispatches.add({
        receivedAt,
        owner,
        repo: name,
        event_type,
        client_payload,
        status: 204,
      });
      runs.start(repository, dispatch, receivedMs);
      ctx.status = 204;
    }),
  );
}
