import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';

const CLEAN_EVERY_MS = 60_000;

/** Removes dead letters older than `retentionMs`, every minute until it is disposed. */
export function startRetention(
  queue: Pick<Queue<DeadLetter>, 'clean'>,
  retentionMs: number,
  log: Pick<Logger, 'warn' | 'debug'>,
): Disposable {
  const clean = () =>
    queue.clean(retentionMs, 1000, 'failed').then(
      removed =>
        removed.length > 0 &&
        log.warn({ removed: removed.length }, 'Dead letters past their retention removed'),
      err => log.debug({ err }, 'Dead letters could not be cleaned'),
    );
  const timer = setInterval(clean, Math.min(CLEAN_EVERY_MS, retentionMs));
  timer.unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
