import { DEAD_LETTER_QUEUE, DISPATCH_QUEUE, RECEIPT_QUEUE } from '@flux-dispatch/queue/keys';

/** A queue as the board shows it. */
export interface ShownQueue {
  /** In Redis, in the log and in the paths that scripts use. */
  readonly name: string;
  /** What operators see. Bull Board knows the queue by this alone, so that its pages have one name for it everywhere. */
  readonly title: string;
  /** The tab that its page opens on. */
  readonly opensOn: 'failed' | 'latest';
}

export const DEAD_LETTERS = {
  name: DEAD_LETTER_QUEUE,
  title: 'Dead letters',
  opensOn: 'failed',
} as const satisfies ShownQueue;

export const RUNS = { name: RECEIPT_QUEUE, title: 'Runs', opensOn: 'failed' } as const satisfies ShownQueue;

export const DISPATCHES = {
  name: DISPATCH_QUEUE,
  title: 'Dispatches',
  opensOn: 'latest',
} as const satisfies ShownQueue;

/** What may need an operator comes first. */
export const SHOWN_QUEUES: readonly ShownQueue[] = [DEAD_LETTERS, RUNS, DISPATCHES];

/** The title of a queue as it stands in a path. */
export function titleSegment({ title }: ShownQueue): string {
  return encodeURIComponent(title);
}

/** The queue that a segment of a path names, by its title or by its name in Redis. */
export function queueOfSegment(segment: string): ShownQueue | undefined {
  return SHOWN_QUEUES.find(queue => segment === queue.name || segment === titleSegment(queue));
}

/** The page of a job. @param state as BullMQ gives it: the tab that the way back leads to */
export function jobUrl(queue: ShownQueue, jobId: string, state: string): string {
  return `/queue/${titleSegment(queue)}/${encodeURIComponent(jobId)}?${new URLSearchParams({ status: state })}`;
}
