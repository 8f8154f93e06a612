import Router from '@koa/router';
import { z } from 'zod';
import { type ActionsSettings, actionsSchema } from './actions-settings.ts';
import { parsePublicKeys } from './app-auth.ts';
import type { ReceivedDispatch } from './dispatch.ts';
import { type FaultRule, faultRulesSchema } from './faults.ts';
import { readJson } from './json-body.ts';
import { PAGE_POLICY, renderPage } from './page.ts';
import {
  type RateLimitSettings,
  rateLimitSchema,
  type SecondaryLimitSettings,
  secondaryLimitSchema,
} from './rate-limit.ts';
import type { CreatedRun } from './runs.ts';

/** What a test or a demo sees of the stand-in and does to it; the endpoints below are the same over HTTP. */
export interface StubControls {
  /** What was accepted, oldest first: the newest 50,000. Always the same array. */
  readonly dispatches: readonly ReceivedDispatch[];
  /** How many dispatches were accepted since the last clear, whether they are still kept or not. */
  readonly received: number;
  /**
   * The newest 50,000 workflow runs that exist by now, in the order of their dispatches and as they stand at this
   * moment.
   */
  readonly runs: readonly CreatedRun[];
  /** How often each "METHOD route status" was answered; the status is "dropped" where a fault cut it. */
  readonly requests: ReadonlyMap<string, number>;
  /** Forgets the dispatches and their runs. */
  clearDispatches(): void;
  /**
   * Back to how it started: no dispatches, runs, counts, faults, limits, restrictions or settings of Actions. Keys and
   * tokens stay.
   */
  clear(): void;

  /** The fault rules in force and how often each was applied. */
  faults(): readonly (FaultRule & { readonly applied: number })[];
  /** Replaces the fault rules. Throws a ZodError that says which one is wrong. */
  setFaults(rules: readonly FaultRule[]): void;

  /** Replaces the App's public keys (PEM), as a key rotation does. Tokens stay valid. Throws a TypeError. */
  setKeys(publicKeys: readonly string[]): void;
  /** Revokes every installation token issued so far and answers how many. */
  revokeTokens(): number;

  /** Starts the secondary limit with an empty window, or ends it. */
  setSecondaryLimit(settings: SecondaryLimitSettings): void;
  /** Changes the primary limit and starts its windows anew. */
  setRateLimit(settings: RateLimitSettings): void;

  /**
   * Which repositories ("owner/name", any case) do not exist; all others do. And which were renamed or transferred, old
   * name to new one.
   */
  setRepositories(settings: z.input<typeof repositories>): void;
  /** At which owners the App is suspended, and at which it is not installed after all. */
  setInstallations(settings: Restrictions): void;
  /**
   * Replaces the App's permissions for Actions and Administration, the repositories' files and the plans of the runs to come. Runs that were
   * planned before go on. Throws a ZodError that says what is wrong.
   */
  setActions(settings: ActionsSettings): void;
}

const restrictions = z.strictObject({
  suspended: z.array(z.string()).default([]),
  notInstalled: z.array(z.string()).default([]),
});
export type Restrictions = z.input<typeof restrictions>;

const repositories = z.strictObject({
  absent: z.array(z.string()).default([]),
  renamed: z.record(z.string(), z.string()).default({}),
});

const keys = z.strictObject({
  publicKeys: z.array(z.string()).check(({ value, issues }) => {
    try {
      parsePublicKeys(value);
    } catch (error) {
      issues.push({ code: 'custom', message: (error as Error).message, input: value });
    }
  }),
});

/** The page at `/`, the probe and the endpoints under `/_stub`. They ask for no credentials: never expose them. */
export function adminRouter(stub: StubControls): Router {
  const router = new Router();

  router.get('/healthz', ctx => {
    ctx.body = { status: 'ok' };
  });

  router.get('/', ctx => {
    ctx.set({ 'content-security-policy': PAGE_POLICY, 'cache-control': 'no-store' });
    ctx.type = 'html';
    ctx.body = renderPage(stub.dispatches, stub.runs, stub.received);
  });

  router.delete('/_stub', ctx => {
    stub.clear();
    ctx.status = 204;
  });

  router.get('/_stub/dispatches', ctx => {
    ctx.body = { received: stub.received, dispatches: ofRepository(stub.dispatches, ctx.query['repo']) };
  });
  router.get('/_stub/runs', ctx => {
    ctx.body = { runs: ofRepository(stub.runs, ctx.query['repo']) };
  });
  router.delete('/_stub/dispatches', ctx => {
    stub.clearDispatches();
    ctx.status = 204;
  });

  router.get('/_stub/requests', ctx => {
    const counts = Object.fromEntries(stub.requests);
    ctx.body = { total: Object.values(counts).reduce((sum, count) => sum + count, 0), counts };
  });

  router.get('/_stub/faults', ctx => {
    ctx.body = stub.faults();
  });
  router.delete('/_stub/faults', ctx => {
    stub.setFaults([]);
    ctx.status = 204;
  });
  router.delete('/_stub/tokens', ctx => {
    ctx.body = { revoked: stub.revokeTokens() };
  });

  const put = <S extends z.ZodType>(path: string, schema: S, apply: (settings: z.input<S>) => void) =>
    router.put(path, async ctx => {
      const body = await readJson(ctx.req);
      const parsed = schema.safeParse(body.kind === 'json' ? body.value : undefined);
      if (parsed.success) {
        apply((body as { value: z.input<S> }).value);
        ctx.status = 204;
      } else {
        ctx.status = 400;
        ctx.body = {
          message: body.kind === 'json' ? z.prettifyError(parsed.error) : `The body is ${body.kind} JSON`,
        };
      }
    });
  put('/_stub/faults', faultRulesSchema, rules => stub.setFaults(rules));
  put('/_stub/keys', keys, ({ publicKeys }) => stub.setKeys(publicKeys));
  put('/_stub/secondary-limit', secondaryLimitSchema, settings => stub.setSecondaryLimit(settings));
  put('/_stub/rate-limit', rateLimitSchema, settings => stub.setRateLimit(settings));
  put('/_stub/repositories', repositories, settings => stub.setRepositories(settings));
  put('/_stub/installations', restrictions, settings => stub.setInstallations(settings));
  put('/_stub/actions', actionsSchema, settings => stub.setActions(settings));

  return router;
}

/** All of them, or those of the repository that is asked for: "owner/name" in any case. */
function ofRepository<T extends { readonly owner: string; readonly repo: string }>(
  items: readonly T[],
  asked: unknown,
): readonly T[] {
  const name = String(asked ?? '').toLowerCase();
  return name === '' ? items : items.filter(({ owner, repo }) => `${owner}/${repo}`.toLowerCase() === name);
}
