/** Why a request is not carried out. */
export interface Refusal {
  readonly status: 400 | 401 | 403 | 404 | 405 | 429 | 500 | 503;
  readonly outcome: RefusalOutcome;
  /** What to do instead, in one line. */
  readonly message: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type RefusalOutcome =
  | 'unauthenticated'
  | 'too_many_tries'
  | 'untrusted_proxy'
  | 'not_loopback'
  | 'cross_site'
  | 'read_only'
  | 'method_not_allowed'
  | 'not_found'
  | 'redis_unavailable'
  | 'not_possible'
  | 'invalid_request'
  | 'internal_error';
