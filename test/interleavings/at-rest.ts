import type { Worker } from 'bullmq';

/** A worker that takes a job only when a test makes it. */
export async function atRest(worker: Worker): Promise<Worker> {
  await worker.pause(true);
  // It would renew locks in between.
  await worker['lockManager'].close();
  return worker;
}
