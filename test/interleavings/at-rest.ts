import type { Worker } from 'bullmq';

/** A worker that takes a job when it is told to, and never by itself. */
export async function atRest(worker: Worker): Promise<Worker> {
  await worker.pause(true);
  // It would renew locks in between.
  await worker['lockManager'].close();
  return worker;
}
