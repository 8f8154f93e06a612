import type { Claims } from '@flux-dispatch/queue/claims';
import { parseDispatch } from '@flux-dispatch/queue/dispatch';
import type { Receipt } from '@flux-dispatch/queue/receipt';

/** What a product team hears of a receipt, as the answer to the next reports of its deployment. */
export interface Feedback {
  /** Gives the team the finding, until a run is seen. */
  noteNoRun(receipt: Receipt, finding: string): Promise<void>;
  noteRun(receipt: Receipt): Promise<void>;
}

export function createFeedback(
  claims: Pick<Claims, 'noteNoRun' | 'noteRun'>,
  { RUN_RETENTION }: { readonly RUN_RETENTION: number },
): Feedback {
  return {
    async noteNoRun({ dispatch }, finding) {
      const parsed = parseDispatch(dispatch);
      if (parsed.ok) await claims.noteNoRun(parsed.dispatch, finding, RUN_RETENTION);
    },
    async noteRun({ dispatch }) {
      const parsed = parseDispatch(dispatch);
      if (parsed.ok) await claims.noteRun(parsed.dispatch);
    },
  };
}
