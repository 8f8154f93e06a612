import type { ParameterizedContext } from 'koa';
import { apiUrl } from './answer.ts';

const DEFAULT_PER_PAGE = 30;
const MAX_PER_PAGE = 100;

/**
 * The page of `items` that `per_page` and `page` of the query ask for. Sets the header `link` where there are others.
 * https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api
 */
export function paginate<T>(ctx: ParameterizedContext, items: readonly T[]): readonly T[] {
  const perPage = Math.min(positive(ctx.query['per_page']) ?? DEFAULT_PER_PAGE, MAX_PER_PAGE);
  const page = positive(ctx.query['page']) ?? 1;
  const last = Math.max(1, Math.ceil(items.length / perPage));
  const links = [
    ...(page > 1 ? [link(ctx, Math.min(page - 1, last), 'prev')] : []),
    ...(page < last ? [link(ctx, page + 1, 'next'), link(ctx, last, 'last')] : []),
    ...(page > 1 ? [link(ctx, 1, 'first')] : []),
  ];
  if (links.length > 0) ctx.set('link', links.join(', '));
  return items.slice((page - 1) * perPage, page * perPage);
}

function positive(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}

function link(ctx: ParameterizedContext, page: number, rel: string): string {
  const url = new URL(ctx.path, apiUrl(ctx));
  url.search = ctx.querystring;
  url.searchParams.set('page', String(page));
  return `<${url}>; rel="${rel}"`;
}
