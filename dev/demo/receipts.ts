/** The board, which shows the receipts of dispatches. */
export interface BoardAccess {
  readonly boardUrl: string;
  /** The header `Authorization`, where the board asks for a login. */
  readonly authorization?: string | undefined;
}

/** What came of a dispatch: the results of its workflow runs, or why there was none. */
export interface DispatchEnd {
  readonly results: readonly string[];
  readonly finding?: string | undefined;
}

/** The receipt of a dispatch as the board has it; undefined until it has ended. @throws where the board refuses to show it */
export async function receiptOf(
  { boardUrl, authorization }: BoardAccess,
  dispatchId: string,
): Promise<DispatchEnd | undefined> {
  const headers = authorization === undefined ? {} : { Authorization: authorization };
  const answer = await fetch(`${boardUrl}/api/queues/dispatch-receipt/${dispatchId}`, { headers });
  // It is there once GitHub has accepted the dispatch.
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`The board answered ${answer.status}: ${await answer.text()}`);
  const { status, job } = (await answer.json()) as {
    readonly status: string;
    readonly job: { readonly failedReason?: string; readonly returnValue?: { readonly results: string[] } };
  };
  if (status === 'failed' && job.failedReason) return { results: ['none'], finding: job.failedReason };
  // Its state may be newer than what was read of it before.
  return status === 'completed' && job.returnValue ? { results: job.returnValue.results } : undefined;
}
