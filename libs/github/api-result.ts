/** The calls that an attempt is made of: looking up the App's installation, getting its token, and the dispatch itself. */
export type ApiCall = 'installation' | 'token' | 'dispatch';

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
    }
  | { readonly kind: 'timeout'; readonly call: ApiCall }
  | { readonly kind: 'network'; readonly call: ApiCall; readonly message: string }
  /** The App's private key cannot be read, so nothing was sent. */
  | { readonly kind: 'key'; readonly message: string };

export type ApiResponse = Extract<ApiResult, { kind: 'response' }>;

export type ResponseHeaders = Readonly<Record<string, string | number | undefined>>;

/**
 * Turns what Octokit threw into a value. An error without `response` is one of the connection.
 * @throws the error itself where it is a bug of ours
 */
export function failedCall(error: unknown, call: ApiCall): ApiResult {
  const { response, message, cause } = error as {
    response?: { status: number; headers: Record<string, string>; data?: { message?: unknown } };
    message: string;
    cause?: unknown;
  };
  if (response) {
    const text = typeof response.data?.message === 'string' ? response.data.message : '';
    return { kind: 'response', call, status: response.status, headers: response.headers, message: text };
  }
  const names = [error, cause].map(thrown => (thrown as Error | undefined)?.name);
  if (names.includes('TimeoutError') || names.includes('AbortError')) return { kind: 'timeout', call };
  // fetch throws TypeErrors with a cause; one without comes from our own code.
  if (error instanceof TypeError && !cause) throw error;
  return { kind: 'network', call, message };
}
