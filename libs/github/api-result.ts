/** Looking up the App's installation and getting its token come before each of the other calls. */
export type ApiCall =
  | 'installation'
  | 'token'
  | 'dispatch'
  | 'runs'
  | 'repository'
  | 'contents'
  | 'workflows'
  | 'permissions';

/** What came of a chain of calls to GitHub: the answer that ended it, or why there was none. */
export type ApiResult =
  | {
      readonly kind: 'response';
      /** The call that was answered. */
      readonly call: ApiCall;
      readonly status: number;
      readonly headers: ResponseHeaders;
      /** GitHub's own message; empty where it gave none. */
      readonly message: string;
      /** The body, parsed, of an answer that is no refusal. */
      readonly data?: unknown;
    }
  | { readonly kind: 'timeout'; readonly call: ApiCall }
  | { readonly kind: 'network'; readonly call: ApiCall; readonly message: string }
  /** GitHub answers for another repository: this one was transferred to that owner. Nothing was sent. */
  | { readonly kind: 'moved'; readonly owner: string }
  /** The App's private key cannot be read, so nothing was sent. */
  | { readonly kind: 'key'; readonly message: string };

export type ApiResponse = Extract<ApiResult, { kind: 'response' }>;

export type ResponseHeaders = Readonly<Record<string, string | number | undefined>>;

/** Thrown by a look-up that ends at the repository of another owner. */
export class Moved extends Error {
  override readonly name = 'Moved';
  readonly owner: string;

  constructor(owner: string) {
    super(`The repository has moved to ${owner}`);
    this.owner = owner;
  }
}

/**
 * Turns what a call threw into a value. Octokit wraps what happens on the connection in an error without `response`.
 * @throws the error itself where it comes from our own code
 */
export function failedCall(error: unknown, call: ApiCall): ApiResult {
  if (error instanceof Moved) return { kind: 'moved', owner: error.owner };
  const { name, message, response, cause } = error as Thrown;
  const answer = response ?? (cause as Thrown | undefined)?.response;
  if (answer) {
    const text = typeof answer.data?.message === 'string' ? answer.data.message : '';
    return { kind: 'response', call, status: answer.status, headers: answer.headers, message: text };
  }
  const names = [name, (cause as Thrown | undefined)?.name];
  if (names.includes('TimeoutError') || names.includes('AbortError')) return { kind: 'timeout', call };
  if (name === 'HttpError') return { kind: 'network', call, message };
  throw error;
}

/** What is looked for in an error. Octokit's own are named `HttpError`. */
interface Thrown {
  readonly name?: string;
  readonly message: string;
  readonly cause?: unknown;
  readonly response?: {
    readonly status: number;
    readonly headers: ResponseHeaders;
    readonly data?: { readonly message?: unknown } | null;
  };
}
