import type { StubControls } from '@flux-dispatch/github-stub/admin';
import type { IngestAnswer } from '@flux-dispatch/testbed/flux';

/** What went in and what came out over one fault: a line of the table. */
export interface Figures {
  /** Events that Flux has posted, failed attempts and repeats of the interval included. */
  readonly events: number;
  /** Deployments that ingest has promised to dispatch. */
  readonly accepted: number;
  /** Deployments that GitHub has received. */
  readonly dispatched: number;
  /** Promised dispatches that came neither to GitHub nor among the dead letters. */
  readonly lost: number;
  /** Deployments that GitHub has received more than once. */
  readonly twice: number;
  /** Dead letters. */
  readonly dead: number;
}

declare module 'vitest' {
  interface TaskMeta {
    /** The table at the end has a line for every test that sets them. */
    figures?: Figures;
    /** What else was measured, in lines of its own below the table. */
    notes?: readonly string[];
  }
}

/** The figures, and what they alone do not show. */
export interface Balance {
  readonly figures: Figures;
  /** Deployments with more than one dispatch id, promised or received: "dispatched once" is broken. */
  readonly renamed: readonly string[];
  /** How many dispatches GitHub has received beyond the first of each deployment. */
  readonly repeats: number;
  /** The same for each injection: those whose receipt it was that came before it and was not acknowledged. */
  readonly repeatsByInjection: readonly number[];
}

/**
 * Keeps what was promised for each deployment, and compares it with what came out. It goes by the dispatch id of every
 * answer and not by deployments alone: a promise that was lost would otherwise be hidden by the next interval's event.
 */
export interface Ledger {
  /** An event of a deployment was posted. There was no answer where none is given. */
  posted(deployment: string, answer?: IngestAnswer): void;
  /** A fault was injected, and all is as it was before it: what comes from now on belongs to the next one. */
  injected(): void;
  readonly accepted: number;
  /** Posts whose connection broke before there was an answer. */
  readonly unanswered: number;
  /** Posts that were answered with 503. */
  readonly refused: number;
  /** Resolves at the very moment when `count` more deployments are accepted than when this was called. */
  acceptances(count: number): Promise<void>;
  /** Dispatch ids that were promised and have not yet come out. */
  missing(github: Pick<StubControls, 'dispatches'>, deadIds: readonly string[]): string[];
  balance(github: Pick<StubControls, 'dispatches'>, deadIds: readonly string[]): Balance;
}

export function openLedger(): Ledger {
  let events = 0;
  let unanswered = 0;
  let refused = 0;
  const promises = new Map<string, Set<string>>();
  const injections: number[] = [];
  const watches = new Set<() => void>();

  const missing: Ledger['missing'] = (github, deadIds) => {
    const ended = new Set([...github.dispatches.map(dispatchId), ...deadIds]);
    return [...promises.values()].flatMap(ids => [...ids].filter(id => !ended.has(id)));
  };

  return {
    posted(deployment, answer) {
      events++;
      if (!answer) unanswered++;
      if (answer?.status === 503) refused++;
      const id = answer?.body.dispatch_id;
      if (id === undefined || (answer?.status !== 202 && answer?.body.outcome !== 'duplicate')) return;
      promises.set(deployment, (promises.get(deployment) ?? new Set()).add(id));
      for (const watch of watches) watch();
    },
    injected() {
      injections.push(Date.now());
    },
    get accepted() {
      return promises.size;
    },
    get unanswered() {
      return unanswered;
    },
    get refused() {
      return refused;
    },
    acceptances(count) {
      const enough = promises.size + count;
      const { promise, resolve } = Promise.withResolvers<void>();
      const watch = () => {
        if (promises.size < enough) return;
        watches.delete(watch);
        resolve();
      };
      watches.add(watch);
      return promise;
    },
    missing,
    balance(github, deadIds) {
      const received = Map.groupBy(github.dispatches, ({ client_payload }) =>
        String(client_payload['kustomization_name']),
      );
      const unacknowledged = [...received.values()].flatMap(dispatches =>
        dispatches.slice(0, -1).map(({ receivedAt }) => Date.parse(receivedAt)),
      );
      const renamed = [...new Set([...promises.keys(), ...received.keys()])].filter(deployment => {
        const ids = new Set([
          ...(promises.get(deployment) ?? []),
          ...(received.get(deployment) ?? []).map(dispatchId),
        ]);
        return ids.size > 1;
      });
      return {
        figures: {
          events,
          accepted: promises.size,
          dispatched: received.size,
          lost: missing(github, deadIds).length,
          twice: [...received.values()].filter(dispatches => dispatches.length > 1).length,
          dead: deadIds.length,
        },
        renamed,
        repeats: unacknowledged.length,
        repeatsByInjection: injections.map(
          (end, index) =>
            unacknowledged.filter(at => at <= end && at > (injections[index - 1] ?? Number.NEGATIVE_INFINITY))
              .length,
        ),
      };
    },
  };
}

function dispatchId({ client_payload }: StubControls['dispatches'][number]): string {
  return String(client_payload['dispatch_id']);
}
