import { RECEIPT_QUEUE } from '@flux-dispatch/queue/keys';
import { WORKER_LIMITER } from '@flux-dispatch/queue/limiter';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import { TolerantWorker } from '@flux-dispatch/queue/tolerant';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { logErrors, STALLED_JOBS } from '../worker.ts';
import type { createReceiptProcessor } from './receipt-processor.ts';

// Receipts wait most of the time, and dispatches need the processor more.
const CONCURRENCY = 4;

/** The worker of the queue of receipts. Errors of its connection are logged; it goes on when Redis is back. */
export function startReceiptWorker(
  redis: Redis,
  prefix: string,
  processor: ReturnType<typeof createReceiptProcessor>,
  log: Logger,
): Worker {
  const worker = new TolerantWorker<Receipt>(RECEIPT_QUEUE, processor, {
    connection: redis,
    prefix,
    concurrency: CONCURRENCY,
    limiter: WORKER_LIMITER,
    ...STALLED_JOBS,
  });
  logErrors(worker, 'Receipt worker', log);
  return worker;
}
