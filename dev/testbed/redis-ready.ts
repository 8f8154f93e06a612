import { setTimeout as after } from 'node:timers/promises';
import { Redis } from 'ioredis';

const READY_WITHIN_MS = 10_000;
const RECONNECT_EVERY_MS = 20;

/** A server that has been started: `ended` settles when it is gone, `log` reads the end of what it has written. */
export interface StartedServer {
  readonly url: string;
  readonly ended: Promise<unknown>;
  log(): Promise<string>;
}

/**
 * Waits until the server has loaded its data and answers PING. Throws when it ends, or has not answered within 10 s,
 * with the end of its log.
 */
export async function untilRedisReady({ url, ended, log }: StartedServer): Promise<void> {
  // ioredis reconnects, and waits while the append-only file is being loaded: for as long as the server estimates, up to 10 s. Redis
  // counts in whole seconds, and a second that ends as the loading begins makes that a minute.
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: RECONNECT_EVERY_MS,
    retryStrategy: () => RECONNECT_EVERY_MS,
  });
  // It is not up yet: every refused connection would be reported here.
  redis.on('error', () => {});
  try {
    const failure = await Promise.race([
      redis.ping().then(() => undefined),
      ended.then(() => 'it ended at start'),
      after(READY_WITHIN_MS, `it did not answer PING within ${READY_WITHIN_MS / 1000} s`, { ref: false }),
    ]);
    if (failure !== undefined) throw new Error(`${failure}. The end of its log:\n${(await log()).trimEnd()}`);
  } finally {
    redis.disconnect();
  }
}
