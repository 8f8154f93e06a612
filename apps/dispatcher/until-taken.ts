import { setTimeout as delay } from 'node:timers/promises';

/** What a Redis answers that is reachable but takes no writes for now: without replicas, with a full disk, in a failover. */
const REFUSED_FOR_NOW = /^(NOREPLICAS|MISCONF|READONLY|OOM|LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b/;
const ASK_AGAIN_MS = 250;

/** Repeats a write until Redis takes it. While Redis is away, the connection itself waits. */
export async function untilTaken(write: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!REFUSED_FOR_NOW.test((error as Error).message)) throw error;
      await delay(ASK_AGAIN_MS);
    }
  }
}
