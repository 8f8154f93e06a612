export interface Deadline {
  readonly signal: AbortSignal;
  /** Waits for a promise until the deadline at most. @throws TimeoutError */
  within<T>(promise: Promise<T>): Promise<T>;
}

/** A time limit over several steps, for those as well that take no signal. */
export function deadlineAfter(timeoutMs: number): Deadline {
  const signal = AbortSignal.timeout(timeoutMs);
  const passed = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  passed.catch(() => undefined);
  return { signal, within: promise => Promise.race([promise, passed]) };
}
