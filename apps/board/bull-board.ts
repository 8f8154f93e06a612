import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { KoaAdapter } from '@bull-board/koa';
import { LIMITER_EXHAUSTED } from '@flux-dispatch/queue/limiter';
import { readReceipt } from '@flux-dispatch/queue/receipt';
import { ErrorCode, type Job, type Queue } from 'bullmq';
import type { Middleware } from 'koa';
import { withAdditions } from './html.ts';
import { DEAD_LETTERS, DISPATCHES, RUNS, type ShownQueue } from './queues.ts';
import { readableDeadLetter, readableDispatch, readableReceipt } from './readable.ts';
import { ACTION_PATTERNS } from './routes.ts';
import { receiptLink } from './run-links.ts';

/** The queues of flux-dispatch. */
export interface Queues {
  readonly dispatches: Queue;
  readonly deadLetters: Queue;
  readonly receipts: Queue;
}

/** Bull Board without the routes that nobody is to use: they are not even there. */
class ViewsAndActions extends KoaAdapter {
  override setApiRoutes(routes: Parameters<KoaAdapter['setApiRoutes']>[0]): KoaAdapter {
    const kept = routes.filter(
      ({ method, route }) => method === 'get' || [route].flat().every(path => ACTION_PATTERNS.includes(path)),
    );
    return super.setApiRoutes(kept);
  }
}

type AdapterOptions = ConstructorParameters<typeof BullMQAdapter>[1];
type Tab = ReturnType<BullMQAdapter['getStatuses']>[number];

/** A queue with one name: Bull Board shows what identifies a queue in most places, and its display name in the others. */
class TitledQueue extends BullMQAdapter {
  readonly #title: string;
  readonly #tabs: readonly Tab[];

  constructor(queue: Queue, { title }: ShownQueue, tabs: readonly Tab[], options: AdapterOptions) {
    super(queue, { ...options, displayName: title });
    this.#title = title;
    this.#tabs = tabs;
  }

  override getName(): string {
    return this.#title;
  }

  override getStatuses(): Tab[] {
    return [...this.#tabs];
  }
}

/** The queue of dispatches, which shows a pause for GitHub's rate limit and leaves out the pace of DISPATCH_RATE. */
class DispatchQueue extends TitledQueue {
  readonly #dispatches: Queue;

  constructor(dispatches: Queue, options: AdapterOptions) {
    const tabs = ['latest', 'active', 'prioritized', 'waiting', 'delayed', 'completed', 'failed'] as const;
    super(dispatches, DISPATCHES, tabs, options);
    this.#dispatches = dispatches;
  }

  override async getActiveRateLimitTtl(): Promise<number> {
    return Math.max(0, await this.#dispatches.getRateLimitTtl(LIMITER_EXHAUSTED));
  }
}

/** A queue whose failed jobs can be retried. Where someone else was faster with Retry, that is no fault of the board. */
class RetriableQueue extends TitledQueue {
  override async getJob(id: string): Promise<Job | undefined> {
    const job = await super.getJob(id);
    if (!job) return undefined;
    const retry = job.retry.bind(job);
    job.retry = (...options) => retry(...options).catch(asRefusal);
    return job;
  }

  /** Bull Board would offer to end a limit. */
  override async getActiveRateLimitTtl(): Promise<number> {
    return 0;
  }
}

/** Bull Board answers what is thrown with its `statusCode`, and with 500 where there is none. */
function asRefusal(error: Error & { readonly code?: unknown }): never {
  if (error.code === ErrorCode.JobNotInState) throw Object.assign(error, { statusCode: 400 });
  if (error.code === ErrorCode.JobNotExist) throw Object.assign(error, { statusCode: 404 });
  throw error;
}

/** The pages and the API of Bull Board for the three queues. */
export function createBullBoardRoutes(queues: Queues, readOnly: boolean): Middleware {
  const dispatches = new DispatchQueue(queues.dispatches, {
    description: 'On their way to GitHub, and the newest deliveries. Only to look at.',
    readOnlyMode: true,
  });
  dispatches.setFormatter('data', readableDispatch);
  const actionable = { readOnlyMode: readOnly, allowCompletedRetries: false };
  const whatToDo = (remedy: string) => (readOnly ? 'This board is read-only.' : remedy);
  const deadLetters = new RetriableQueue(
    queues.deadLetters,
    DEAD_LETTERS,
    ['failed', 'active', 'waiting', 'delayed'],
    {
      ...actionable,
      description: `Could not be delivered. ${whatToDo('Do what the hint says, then Retry.')}`,
    },
  );
  deadLetters.setFormatter('data', readableDeadLetter);
  const runs = new RetriableQueue(
    queues.receipts,
    RUNS,
    ['failed', 'delayed', 'waiting', 'active', 'completed'],
    {
      ...actionable,
      description: `Failed: no workflow run started. ${whatToDo('Do what the finding says, then Retry.')}`,
      externalJobUrl,
    },
  );
  runs.setFormatter('data', readableReceipt);
  const serverAdapter = new ViewsAndActions();
  createBullBoard({
    queues: [deadLetters, runs, dispatches],
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
  const routes = serverAdapter.registerPlugin();
  return async (ctx, next) => {
    await routes(ctx, next);
    if (ctx.response.is('html') && typeof ctx.body === 'string') ctx.body = withAdditions(ctx.body);
  };
}

/** Bull Board shows no link where there is none, which its type does not say. */
const externalJobUrl = (({ data }: { data?: unknown }) => {
  const receipt = readReceipt(data);
  const link = receipt && receiptLink(receipt);
  return link && { href: link.href, displayText: link.text };
}) as Required<NonNullable<AdapterOptions>>['externalJobUrl'];
