import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { type Board, type System, startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { openQueues, type Queues } from './queues.ts';

/** A board without a dispatcher: what its queues hold stays as it is. */
export interface BoardAlone extends AsyncDisposable {
  readonly system: System;
  readonly board: Board;
  readonly queues: Queues;
  /** Asks the board, and follows no redirect. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts a board. @param env its variables beyond those that it needs to start */
export async function openBoard(
  redisUrl: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BoardAlone> {
  await using stack = new AsyncDisposableStack();
  const credentials = stack.use(await createCredentials());
  const githubUrl = 'http://127.0.0.1:9';
  const system = stack.use(
    await startSystem({ redisUrl, githubUrl, credentials, ingests: 0, dispatchers: 0 }),
  );
  const board = await system.startBoard(env);
  const queues = stack.use(openQueues(redisUrl, system.prefix));
  const opened = stack.move();
  return {
    ...{ system, board, queues },
    request: (path, init) => fetch(board.url + path, { redirect: 'manual', ...init }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The audit lines of a board, once there are `count`. */
export function actionsOf(board: Board, count: number) {
  return until('the actions are in the log', () => {
    const actions = board.process.log().filter(({ msg }) => msg === 'Action');
    return actions.length >= count && actions;
  });
}
