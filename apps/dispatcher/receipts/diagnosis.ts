import type { Finding } from '@flux-dispatch/github/finding';
import type { GitHub } from '@flux-dispatch/github/github';
import type { RateLimit } from '@flux-dispatch/github/verdict';
import type { Receipt } from '@flux-dispatch/queue/receipt';
import type { ReceiptSearch } from '@flux-dispatch/queue/receipt-search';
import { reservedForMs } from './reserve.ts';

export type Diagnosis =
  | { readonly kind: 'finding'; readonly finding: Finding }
  /** Receipts stand back for dispatches: their queue is held. */
  | { readonly kind: 'held' }
  /** The rest of the hourly limit is for dispatches: try again after so many milliseconds. */
  | { readonly kind: 'later'; readonly ms: number }
  | { readonly kind: 'limited'; readonly limit: RateLimit };

/** Finds out why no run came of a dispatch. */
export type Diagnose = (receipt: Pick<Receipt, 'repo' | 'event_type'>) => Promise<Diagnosis>;

export interface DiagnoseDependencies {
  readonly github: Pick<GitHub, 'diagnose' | 'quota'>;
  readonly search: Pick<ReceiptSearch<unknown, Finding>, 'finding' | 'noteFinding'>;
  readonly mayCall: () => Promise<boolean>;
  readonly config: {
    /** Milliseconds. */
    readonly RUN_START_TIMEOUT: number;
  };
}

// A diagnosis may take a hundred calls, and where one dispatch has no run the next ones have none either.
const LONGEST_VALID_MS = 300_000;

/** What was found out for one receipt serves those beside it, and those after it for some minutes. */
export function createDiagnose({ github, search, mayCall, config }: DiagnoseDependencies): Diagnose {
  const underWay = new Map<string, Promise<Diagnosis>>();

  async function find(repo: string, event_type: string): Promise<Diagnosis> {
    const known = await search.finding(repo, event_type);
    if (known !== undefined) return { kind: 'finding', finding: known };
    let ms = 0;
    const diagnosis = await github.diagnose(repo, event_type, async () => {
      ms = reservedForMs(github, repo);
      return ms === 0 && (await mayCall());
    });
    if (diagnosis.kind === 'held' && ms > 0) return { kind: 'later', ms };
    // What GitHub did not say this time it may say the next time.
    if (diagnosis.kind !== 'finding' || diagnosis.finding.code === 'unknown') return diagnosis;
    const validMs = Math.min(LONGEST_VALID_MS, config.RUN_START_TIMEOUT);
    await search.noteFinding(repo, event_type, diagnosis.finding, validMs);
    return diagnosis;
  }

  return ({ repo, event_type }) => {
    const key = `${repo.toLowerCase()} ${event_type}`;
    const found = underWay.get(key) ?? find(repo, event_type).finally(() => underWay.delete(key));
    underWay.set(key, found);
    return found;
  };
}
