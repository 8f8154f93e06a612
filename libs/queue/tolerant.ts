import { Job, type JobJson, Queue, Worker } from 'bullmq';

/**
 * Reads a job's hash even where BullMQ did not write it. BullMQ throws when the data is not JSON: a worker takes such a job
 * again and again and never processes it, and no list that contains it can be read. Here the data of such a job is the text
 * that was found. It is not a dispatch, so it ends as a dead letter.
 */
class TolerantJob extends Job {
  static override fromJSON<T, R, N extends string>(
    queue: Parameters<typeof Job.fromJSON>[0],
    json: JobJson,
    jobId?: string,
  ): Job<T, R, N> {
    // Both are missing where the hash was deleted while its job waited.
    const { name = 'unknown', timestamp } = json;
    const complete = { ...json, name, timestamp: Number.isFinite(timestamp) ? timestamp : 0 };
    try {
      return Job.fromJSON(queue, complete, jobId);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return Job.fromJSON(queue, { ...complete, data: JSON.stringify(json.data) }, jobId);
    }
  }
}

/** BullMQ's queue, which can also read jobs whose data is not JSON. */
export class TolerantQueue<Data> extends Queue<Data> {
  protected override get Job(): typeof Job {
    return TolerantJob as typeof Job;
  }
}

/** BullMQ's worker, which can also process jobs whose data is not JSON. */
export class TolerantWorker<Data> extends Worker<Data> {
  protected override get Job(): typeof Job {
    return TolerantJob as typeof Job;
  }
}
