import type { Run } from '@flux-dispatch/github/runs';
import type { Seeker } from '@flux-dispatch/queue/receipt-search';

// GitHub's times are in whole seconds, and those of two of its servers may differ a little.
const TOLERANCE_MS = 2000;

/** The runs with the id of a dispatch in their title. */
export function exactRuns(runs: readonly Run[], dispatchId: string): readonly Run[] {
  return runs.filter(({ title }) => title.includes(dispatchId));
}

/** The runs that any dispatch of an event type may have started whose workflows do not name the dispatch, oldest first. */
export function untitledRuns(runs: readonly Run[], eventType: string): readonly Run[] {
  return runs
    .filter(({ title }) => title === eventType)
    .sort((a, b) => a.created_at - b.created_at || a.id - b.id);
}

/**
 * The runs that a dispatch probably has started: of each workflow, dispatches and runs of the same event type belong together in the
 * order of their times. Pure.
 * @param seekers all dispatches of the event type that look for runs, this one included
 * @param untitled see {@link untitledRuns}
 * @param claims the dispatch that has claimed a run before, by the run's id
 */
export function probableRuns(
  dispatchId: string,
  seekers: readonly Seeker[],
  untitled: readonly Run[],
  claims: ReadonlyMap<number, string>,
): readonly Run[] {
  const inOrder = [...seekers].sort(
    (a, b) => a.delivered_at - b.delivered_at || (a.dispatch_id < b.dispatch_id ? -1 : 1),
  );
  const byWorkflow = Map.groupBy(untitled, ({ workflow_id }) => workflow_id);
  return [...byWorkflow.values()].flatMap(runs => {
    const served = new Set(runs.map(({ id }) => claims.get(id)));
    return runs.filter(run => {
      const claimant = claims.get(run.id);
      if (claimant !== undefined) return claimant === dispatchId;
      const first = inOrder.find(
        each => !served.has(each.dispatch_id) && each.delivered_at - TOLERANCE_MS <= run.created_at,
      );
      served.add(first?.dispatch_id);
      return first?.dispatch_id === dispatchId;
    });
  });
}
