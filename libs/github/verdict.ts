/** GitHub asks for fewer calls. */
export interface RateLimit {
  readonly kind: 'primary' | 'secondary';
  /** How long to make no call, in milliseconds; undefined where GitHub did not say. */
  readonly waitMs: number | undefined;
}

/** The HTTP status of an answer, or why there was none; `internal` where our own code failed. */
export type ErrorCode = `${number}` | 'timeout' | 'network' | 'auth' | 'internal';

/** Whether GitHub refused the App's own credentials, or they could not be read. */
export function isAuthError(code: ErrorCode): boolean {
  return code === '401' || code === 'auth';
}

interface Answered {
  /** Set where the answer was the last that GitHub gives for now, whatever else it says. */
  readonly limit?: RateLimit | undefined;
}

/** What an attempt at a dispatch came to, and so what is to be done about it. */
export type Verdict =
  /** GitHub accepted the dispatch. */
  | (Answered & {
      readonly kind: 'delivered';
      readonly code: `${number}`;
      /** When, by GitHub's own clock, in milliseconds since the epoch; undefined where it did not say. */
      readonly at?: number | undefined;
    })
  /** Another attempt may succeed. */
  | (Answered & {
      readonly kind: 'retry';
      readonly code: ErrorCode;
      readonly message: string;
      /** Whether GitHub may have accepted the dispatch all the same: it was sent, and no answer came. */
      readonly isDoubtful?: boolean;
      /** Of an error that our own code did not expect: where it was thrown. */
      readonly stack?: string | undefined;
    })
  /** Refused for the number of calls: this does not count as an attempt. */
  | (Answered & {
      readonly kind: 'pause';
      readonly code: `${number}`;
      readonly message: string;
      readonly limit: RateLimit;
    })
  /** No attempt succeeds until someone changes what `hint` says. */
  | (Answered & {
      readonly kind: 'dead';
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint: string;
    });
