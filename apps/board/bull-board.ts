import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { KoaAdapter } from '@bull-board/koa';
import { LIMITER_EXHAUSTED } from '@flux-dispatch/queue/limiter';
import { ErrorCode, type Job, type Queue } from 'bullmq';
import type { Middleware } from 'koa';
import { readableDeadLetter, readableDispatch } from './readable.ts';
import { ACTION_PATTERNS } from './routes.ts';

/** Bull Board without the routes that nobody is to use: they are not even there. */
class ViewsAndActions extends KoaAdapter {
  override setApiRoutes(routes: Parameters<KoaAdapter['setApiRoutes']>[0]): KoaAdapter {
    const kept = routes.filter(
      ({ method, route }) => method === 'get' || [route].flat().every(path => ACTION_PATTERNS.includes(path)),
    );
    return super.setApiRoutes(kept);
  }
}

/** The queue of dispatches, which shows a pause for GitHub's rate limit and leaves out the pace of DISPATCH_RATE. */
class DispatchQueue extends BullMQAdapter {
  readonly #dispatches: Queue;

  constructor(dispatches: Queue, options: ConstructorParameters<typeof BullMQAdapter>[1]) {
    super(dispatches, options);
    this.#dispatches = dispatches;
  }

  override async getActiveRateLimitTtl(): Promise<number> {
    return Math.max(0, await this.#dispatches.getRateLimitTtl(LIMITER_EXHAUSTED));
  }
}

/** The queue of dead letters. Where someone else was faster with Retry, that is no fault of the board. */
class DeadLetterQueue extends BullMQAdapter {
  override async getJob(id: string): Promise<Job | undefined> {
    const job = await super.getJob(id);
    if (!job) return undefined;
    const retry = job.retry.bind(job);
    job.retry = (...options) => retry(...options).catch(asRefusal);
    return job;
  }
}

/** Bull Board answers what is thrown with its `statusCode`, and with 500 where there is none. */
function asRefusal(error: Error & { readonly code?: unknown }): never {
  if (error.code === ErrorCode.JobNotInState) throw Object.assign(error, { statusCode: 400 });
  if (error.code === ErrorCode.JobNotExist) throw Object.assign(error, { statusCode: 404 });
  throw error;
}

/** The pages and the API of Bull Board for the two queues. */
export function createBullBoardRoutes(
  { dispatches, deadLetters }: { readonly dispatches: Queue; readonly deadLetters: Queue },
  readOnly: boolean,
): Middleware {
  const dispatchQueue = new DispatchQueue(dispatches, {
    displayName: 'Dispatches',
    description: 'On their way to GitHub, and the newest that have arrived. Only to look at.',
    readOnlyMode: true,
  });
  dispatchQueue.setFormatter('data', readableDispatch);
  const deadLetterQueue = new DeadLetterQueue(deadLetters, {
    displayName: 'Dead letters',
    description: readOnly
      ? 'Could not be delivered. This board is read-only.'
      : 'Could not be delivered. Do what the hint says, then Retry.',
    readOnlyMode: readOnly,
  });
  deadLetterQueue.setFormatter('data', readableDeadLetter);
  const serverAdapter = new ViewsAndActions();
  createBullBoard({
    queues: [deadLetterQueue, dispatchQueue],
    serverAdapter,
    options: {
      uiConfig: {
        boardTitle: 'flux-dispatch',
        hideRedisDetails: true,
        hideDocsLink: true,
        // Would ask Redis for the list of all its clients at every poll.
        showWorkers: false,
        jobDetails: { defaultTab: 'Data' },
        locale: { lng: 'en-GB' },
      },
    },
  });
  return serverAdapter.registerPlugin();
}
