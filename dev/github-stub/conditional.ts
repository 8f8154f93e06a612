import { createHash } from 'node:crypto';
import type { Middleware } from 'koa';
import { type RequestState, setLimitHeaders } from './answer.ts';
import type { PrimaryLimit } from './rate-limit.ts';

/**
 * Adds an ETag to what an installation reads, and answers 304 where `if-none-match` has it. A 304 does not count
 * against the primary limit. As at GitHub, an ETag is valid only with the token that it was sent to, not with the next
 * one of the same installation (https://github.com/github/docs/issues/34689). The request's `cache-control` is ignored:
 * fetch adds `no-cache` to every request with `if-none-match`.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate
 */
export function answerConditionally(rateLimit: PrimaryLimit): Middleware<RequestState> {
  return async (ctx, next) => {
    await next();
    if (ctx.method !== 'GET' || ctx.status !== 200 || ctx.state.caller.kind !== 'installation') return;
    const body = JSON.stringify(ctx.body);
    const hash = createHash('sha256').update(JSON.stringify([ctx.get('authorization'), ctx.get('accept')]));
    const tag = `"${hash.update(body).digest('hex')}"`;
    ctx.set({ etag: `W/${tag}`, 'cache-control': 'private, max-age=60, s-maxage=60' });
    ctx.body = body;
    ctx.type = 'json';
    const known = ctx.get('if-none-match').split(',');
    if (!known.some(entry => entry.trim().replace(/^W\//, '') === tag)) return;
    ctx.state.rateLimit = rateLimit.refund(ctx.state.account, ctx.state.rateLimit);
    setLimitHeaders(ctx, ctx.state.rateLimit);
    ctx.status = 304;
  };
}
