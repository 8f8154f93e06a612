import type { Dispatch } from '@flux-dispatch/queue/dispatch';

/** A failure or a recovery as GitHub has accepted it. */
interface Delivered {
  readonly id: string;
  readonly outage: string;
  /** When its outage began (s). */
  readonly since: number;
  /** The newest success that was noted when the attempt began (s). */
  readonly healthy: number;
  /** The order in which attempts began. */
  readonly attempt: number;
  /** Something had broken by then that had hold of a failure, so that it may have been at GitHub although it seems not. */
  readonly isDoubtful: boolean;
  /** Of a recovery: it had waited as long as it does for a failure that is under way. */
  readonly hasWaited: boolean;
}

/** A success for the Alert of recoveries, and what ingest took it for. */
interface Success {
  readonly at: number;
  readonly outage: string | undefined;
  /** The newest outage before it of which GitHub had a failure by then. */
  readonly expected: Delivered | undefined;
  /** Attempts at failures from before it that GitHub had not answered yet. */
  readonly underWay: readonly OutageAttempt[];
  readonly isDoubtful: boolean;
}

/** An attempt at a failure or a recovery, from its request to GitHub on. */
export type OutageAttempt = Omit<Delivered, 'isDoubtful'>;

/** The reference for outages: what GitHub has got of them, and what ingest has said of each success. */
export function createOutageModel(isDoubtful: () => boolean) {
  const failures: Delivered[] = [];
  const recoveries: Delivered[] = [];
  const successes: Success[] = [];
  /** Of which GitHub may have a failure, for all that the dispatcher knows. */
  const doubtful = new Set<string>();
  const wrong: string[] = [];
  const underWay = new Set<OutageAttempt>();
  let healthy = 0;
  let attempts = 0;

  return {
    /** @param at seconds since the epoch */
    succeeded(at: number) {
      healthy = Math.max(healthy, at);
    },
    /**
     * A dispatch is about to be sent. undefined: it belongs to no outage.
     * @param isOld it was accepted so long ago that a recovery does not wait any more
     */
    attempt({ class: reasonClass, payload }: Dispatch, isOld: boolean): OutageAttempt | undefined {
      const { outage } = payload.flux;
      if (reasonClass === 'success') return undefined;
      if (!outage) wrong.push(`${payload.dispatch_id} is sent without its outage`);
      const { id = '', since = '' } = outage ?? {};
      const attempt = {
        ...{ id: payload.dispatch_id, outage: id, since: Date.parse(since) / 1000 },
        ...{ healthy, attempt: ++attempts },
        hasWaited: isOld && [...underWay].some(tried => tried.outage === id),
      };
      if (reasonClass === 'failure') underWay.add(attempt);
      return attempt;
    },
    /** GitHub has refused it, and the dispatcher does not know. */
    lost(attempt: OutageAttempt) {
      underWay.delete(attempt);
      doubtful.add(attempt.outage);
    },
    /** GitHub has answered, although the dispatcher may not know of it. */
    answered(reasonClass: Dispatch['class'], attempt: OutageAttempt, isAccepted: boolean) {
      underWay.delete(attempt);
      if (!isAccepted) return;
      const delivered = { ...attempt, isDoubtful: isDoubtful() };
      const { outage, id } = attempt;
      if (reasonClass === 'failure') {
        const before = failures.find(each => each.id === id);
        if (before && before.outage !== outage && !delivered.isDoubtful) {
          wrong.push(`${id} was sent as of the outages ${before.outage} and ${outage}`);
        }
        failures.push(delivered);
        const over = recoveries.find(each => each.outage === outage);
        if (over && !over.hasWaited && !delivered.isDoubtful) {
          wrong.push(`${id} was sent after ${over.id}, the recovery from its outage`);
        }
        return;
      }
      recoveries.push(delivered);
      const isKnown = failures.some(each => each.outage === outage) || doubtful.has(outage);
      if (!isKnown && !delivered.hasWaited && !delivered.isDoubtful) {
        wrong.push(`${id} was sent, and no failure of its outage ${outage}`);
      }
    },
    /** Ingest has noted a success at the Alert of recoveries. */
    looked(at: number, outage: string | undefined) {
      healthy = Math.max(healthy, at);
      const before = failures.filter(({ since }) => since < at);
      const expected = before.toSorted((a, b) => b.since - a.since)[0];
      const tried = [...underWay].filter(({ since }) => since < at);
      successes.push({ at, outage, expected, underWay: tried, isDoubtful: isDoubtful() });
    },

    /** Once all has come to rest. @param isExcused whether a recovery was given up by an operator, or its event did not get through */
    wrong(isExcused: (outage: string) => boolean): readonly string[] {
      const inOrder = failures.toSorted((a, b) => a.attempt - b.attempt);
      for (const [index, failure] of inOrder.entries()) {
        const before = inOrder[index - 1];
        if (!before || failure.isDoubtful) continue;
        const isSame = failure.healthy <= before.since;
        if (isSame !== (failure.outage === before.outage)) {
          const one = isSame ? 'one outage' : 'two outages';
          wrong.push(`${before.id} and ${failure.id} are of ${one}: ${before.outage}, ${failure.outage}`);
        }
      }
      const wasDelivered = (tried: OutageAttempt) => failures.some(each => each.attempt === tried.attempt);
      for (const { at, outage, expected, underWay, isDoubtful } of successes) {
        const missed = expected ?? underWay.find(wasDelivered);
        if (missed && outage === undefined && !isDoubtful) {
          wrong.push(`The success at ${at} has ended no outage, although ${missed.id} was delivered`);
        }
        if (outage === undefined) continue;
        const failure = failures.find(each => each.outage === outage);
        const isRecovered = recoveries.some(each => each.outage === outage);
        if (failure && !isRecovered && !isExcused(outage)) wrong.push(`The outage ${outage} has no recovery`);
        if (failure && failure.since >= at)
          wrong.push(`The success at ${at} has ended ${outage}, which is later`);
        if (expected && failure && failure.since < expected.since && !isDoubtful) {
          wrong.push(`The success at ${at} has ended ${outage}, and not ${expected.outage}`);
        }
      }
      const ids = Map.groupBy(recoveries, each => each.outage);
      for (const [outage, all] of ids) {
        if (new Set(all.map(({ id }) => id)).size > 1)
          wrong.push(`The outage ${outage} has several recoveries`);
      }
      return wrong;
    },
  };
}
