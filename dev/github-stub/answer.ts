import type { ParameterizedContext } from 'koa';
import type { TokenGrant } from './app-auth.ts';
import type { JsonBody } from './json-body.ts';
import type { RateLimitState } from './rate-limit.ts';

export const DOCS = 'https://docs.github.com/rest';

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

/** Where the caller reached this API. */
export function apiUrl(ctx: ParameterizedContext): string {
  return `${ctx.protocol}://${ctx.host}`;
}

/** Where the caller stands with the primary limit, on every answer. */
export function setLimitHeaders(ctx: ParameterizedContext, { limit, used, reset }: RateLimitState): void {
  ctx.set({
    'x-ratelimit-limit': String(limit),
    'x-ratelimit-remaining': String(limit - used),
    'x-ratelimit-reset': String(reset),
    'x-ratelimit-used': String(used),
    'x-ratelimit-resource': 'core',
  });
}

/** GitHub's shape of an error. */
export function refuse(ctx: ParameterizedContext, status: number, message: string, docs = DOCS): void {
  ctx.status = status;
  ctx.body = { message, documentation_url: docs, status: String(status) };
}

export function refuseSuspended(ctx: ParameterizedContext, docs: string): void {
  refuse(ctx, 403, 'This installation has been suspended', docs);
}

export function refuseBody(
  ctx: ParameterizedContext,
  kind: Exclude<JsonBody['kind'], 'json'>,
  docs: string,
): void {
  if (kind === 'malformed') refuse(ctx, 400, 'Problems parsing JSON', docs);
  else refuse(ctx, 413, 'Payload Too Large', docs);
}
