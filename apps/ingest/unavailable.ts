import { redisUnavailable } from '@flux-dispatch/queue/redis';
import { failureText } from '@flux-dispatch/queue/refusals';
import type { Redis } from 'ioredis';

/**
 * Nothing is promised, and the client must send the event again. The event may be queued all the same; then the second try is
 * a duplicate.
 */
export interface Unavailable {
  readonly kind: 'unavailable';
  /** For the operator. */
  readonly reason: string;
}

/** What `work` gives, unless Redis is away, takes longer than `timeoutMs` or refuses it. */
export async function orUnavailable<T>(
  redis: Pick<Redis, 'status'>,
  timeoutMs: number,
  work: () => Promise<T>,
): Promise<T | Unavailable> {
  const away = redisUnavailable(redis);
  if (away !== undefined) return { kind: 'unavailable', reason: away };
  try {
    const result = await within(timeoutMs, work());
    if (result !== 'timeout') return result;
    return { kind: 'unavailable', reason: `Redis did not answer within ${timeoutMs} ms` };
  } catch (error) {
    return { kind: 'unavailable', reason: failureText(error) };
  }
}

/** Resolves or rejects as `work` does, or resolves to 'timeout' where that takes longer than `ms`. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | 'timeout'> {
  const { promise: timeout, resolve } = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(resolve, ms, 'timeout');
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
