import { setTimeout as sleep } from 'node:timers/promises';
import type { Middleware } from 'koa';
import { z } from 'zod';
import { repositoryName } from './repository-name.ts';

const match = z.strictObject({
  method: z
    .string()
    .transform(method => method.toUpperCase())
    .optional(),
  path: z
    .string()
    .check(({ value, issues }) => {
      if (value.startsWith('/')) return;
      const message = value.startsWith('^')
        ? regexFault(value)
        : 'must be a prefix that begins with "/" or a regular expression that begins with "^"';
      if (message) issues.push({ code: 'custom', message, input: value });
    })
    .optional(),
  repo: repositoryName.optional(),
});

function regexFault(source: string): string | undefined {
  try {
    new RegExp(source);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

const action = z.union(
  [
    z.strictObject({
      status: z.int().min(200).max(599),
      headers: z.record(z.string(), z.string()).optional(),
      body: z.unknown().optional(),
    }),
    z.strictObject({
      latencyMs: z.int().nonnegative().max(3_600_000),
      afterHandling: z.boolean().optional(),
    }),
    z.strictObject({ drop: z.literal(true), afterHandling: z.boolean().optional() }),
  ],
  'must be one of { status, headers?, body? }, { latencyMs, afterHandling? } or { drop: true, afterHandling? }',
);

/**
 * What goes wrong, and for which requests; without `match` for every one. `path` is a prefix ("/repos/") or, beginning
 * with "^", a regular expression; `repo` is "owner/name" in any case. The first rule that matches and has not been
 * used up (`times`) acts: it answers in GitHub's place, or drops the connection, before GitHub has seen the request
 * or (`afterHandling`) once GitHub has acted on it. A rule with `latencyMs` waits, before that or (`afterHandling`)
 * with the answer, and the search goes on behind it.
 */
const faultRule = z.strictObject({
  match: match.optional(),
  action,
  times: z.int().positive().optional(),
});
export const faultRulesSchema = z.array(faultRule);
export type FaultRule = z.input<typeof faultRule>;

interface ActiveRule {
  readonly rule: z.output<typeof faultRule>;
  applied: number;
}

/** The rules in force, in order, and how often each was applied. */
export class FaultRules {
  #active: readonly ActiveRule[] = [];

  /** Replaces all rules. Throws a ZodError that says which rule is wrong and how. */
  set(rules: readonly FaultRule[]): void {
    this.#active = faultRulesSchema.parse(rules).map(rule => ({ rule, applied: 0 }));
  }

  list() {
    return this.#active.map(({ rule, applied }) => ({ ...rule, applied }));
  }

  /** The faults for a request, up to and with the first that settles it. Each counts as applied. */
  take(method: string, path: string): readonly FaultAction[] {
    const actions: FaultAction[] = [];
    for (const active of this.#active) {
      const { rule, applied } = active;
      if (applied >= (rule.times ?? Number.POSITIVE_INFINITY) || !matches(rule.match, method, path)) continue;
      active.applied += 1;
      actions.push(rule.action);
      if (!('latencyMs' in rule.action)) break;
    }
    return actions;
  }
}

type FaultAction = z.output<typeof action>;

function matches(wanted: z.output<typeof match> | undefined, method: string, path: string): boolean {
  if (wanted?.method && wanted.method !== method) return false;
  if (wanted?.path) {
    const found = wanted.path.startsWith('^')
      ? new RegExp(wanted.path).test(path)
      : path.startsWith(wanted.path);
    if (!found) return false;
  }
  if (wanted?.repo) {
    const [, root, owner, repo] = path.split('/');
    if (root !== 'repos' || `${owner}/${repo}`.toLowerCase() !== wanted.repo) return false;
  }
  return true;
}

/** Lets `faults` act on what passes through. `closing` ends every wait under way, and drops its connection. */
export function injectFaults(faults: FaultRules, closing: AbortSignal): Middleware<{ dropped?: boolean }> {
  return async (ctx, next) => {
    const drop = () => {
      ctx.state.dropped = true;
      ctx.respond = false;
      ctx.req.socket.destroy();
    };
    const wait = (ms: number) => sleep(ms, undefined, { signal: closing }).catch(() => {});
    let answerLateMs = 0;
    for (const fault of faults.take(ctx.method, ctx.path)) {
      if ('latencyMs' in fault) {
        if (fault.afterHandling) answerLateMs += fault.latencyMs;
        else await wait(fault.latencyMs);
        // A client that has gone meanwhile has not sent its body.
        if (closing.aborted || ctx.socket.destroyed) return drop();
      } else if ('drop' in fault) {
        if (fault.afterHandling) await next();
        return drop();
      } else {
        ctx.status = fault.status;
        // Koa takes null for no body at all.
        if (fault.body === null) ctx.set('content-type', 'application/json');
        const { body = { message: 'Injected fault', status: String(fault.status) } } = fault;
        ctx.body = body === null ? 'null' : body;
        ctx.set(fault.headers ?? {});
        return;
      }
    }
    await next();
    if (answerLateMs === 0) return;
    await wait(answerLateMs);
    if (closing.aborted) drop();
  };
}
