import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether a browser sent a request on behalf of another site than the board. Browsers say so themselves in
 * `Sec-Fetch-Site`, which no page can set; older ones, and all of them over plain HTTP, send at least `Origin` with
 * whatever is not a GET. A request without either comes from no browser, and so carries nobody else's credentials.
 * The same as Go's https://pkg.go.dev/net/http#CrossOriginProtection.
 */
export function isCrossSite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site !== 'same-origin' && site !== 'none';
  const { origin, host } = headers;
  if (origin === undefined) return false;
  // A proxy in front ends TLS, so only the hosts can be compared.
  return !URL.canParse(origin) || new URL(origin).host !== host;
}
