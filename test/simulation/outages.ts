import { isBefore, type Span } from './span.ts';

/** A failure that was accepted, as far as its outage depends on it. Clock times are milliseconds since the epoch. */
export interface Failure {
  readonly dispatchId: string;
  readonly time: Span;
  /** It was not accepted before. */
  readonly acceptedAt: number;
  /** It is not sent before. */
  readonly notBefore: number;
  /** An attempt at it may have been cut off, after which it counts as received, and need not have been. */
  isInterrupted: boolean;
}

/** The failures from one recovery of an object to the next, towards one repository. */
export interface Outage {
  readonly id: string;
  /** Those that belong to it if they are sent. */
  readonly failures: Failure[];
  /** A later failure opens another. */
  isOver: boolean;
  /** These may be two outages, as it cannot be told on which side of a success a failure was sent. */
  isLoose: boolean;
  /** It may have been forgotten. */
  isDoubtful: boolean;
  /** One of its failures may wait to be sent. */
  isUnsettled: boolean;
}

/** The outages of one object, as SPEC section 3 has them: the first failure that is delivered opens one, a later success ends it. */
export interface Outages {
  /**
   * A failure was accepted that its object has not recovered from.
   * @param isClear false where it may have recovered all the same
   */
  fail(failure: Failure, isClear: boolean): Outage;
  /** A success was noted. */
  succeed(at: Span, moment: Moment): void;
  /**
   * The outages that a success may be the recovery from: the newest that began strictly before it.
   * @returns isSure: it is one of them
   */
  endedBy(at: Span, moment: Moment): { readonly possible: readonly Outage[]; readonly isSure: boolean };
  /** They may have been forgotten. */
  doubt(): void;
  /** No failure is under way any more. */
  settle(): void;
}

/** From a post to its answer, in milliseconds since the epoch. */
export interface Moment {
  readonly sentAt: number;
  readonly answeredAt: number;
}

/** When GitHub received a dispatch first, in milliseconds since the epoch; undefined where it has not. */
export type ReceivedAt = (dispatchId: string) => number | undefined;

export function createOutages(object: string, receivedAt: ReceivedAt): Outages {
  let outages: Outage[] = [];
  let count = 0;

  const isReceivedBefore = ({ dispatchId }: Failure, moment: number) =>
    (receivedAt(dispatchId) ?? Number.POSITIVE_INFINITY) < moment;

  function open(): Outage {
    const id = `${object} ${count++}`;
    const outage: Outage = {
      ...{ id, failures: [] },
      ...{ isOver: false, isLoose: false, isDoubtful: false, isUnsettled: true },
    };
    outages.push(outage);
    return outage;
  }

  return {
    fail(failure, isClear) {
      const newest = outages.at(-1);
      const outage = newest && !newest.isOver ? newest : open();
      outage.failures.push(failure);
      outage.isUnsettled = true;
      if (!isClear) outage.isLoose = true;
      return outage;
    },
    succeed(at, { sentAt }) {
      const newest = outages.at(-1);
      if (!newest || newest.isOver) return;
      const isEarlier = openersOf(newest, receivedAt).map(({ time }) => isBefore(time, at));
      if (isEarlier.every(earlier => earlier === false)) return;
      // A failure after that success, which is sent before or after the success is noted.
      const mayOpenAnother = newest.failures.some(
        failure => isBefore(failure.time, at) !== true && !isReceivedBefore(failure, sentAt),
      );
      if (isEarlier.every(earlier => earlier === true) && !mayOpenAnother) newest.isOver = true;
      else newest.isLoose = true;
    },
    endedBy(at, { sentAt, answeredAt }) {
      const possible: Outage[] = [];
      for (const outage of outages.toReversed()) {
        const openers = openersOf(outage, receivedAt).filter(({ notBefore }) => notBefore <= answeredAt);
        const isEarlier = openers.map(({ time }) => isBefore(time, at));
        if (isEarlier.every(earlier => earlier === false)) continue;
        possible.push(outage);
        const isDelivered = outage.failures.some(failure => isReceivedBefore(failure, sentAt));
        const isSure = isDelivered && !outage.isDoubtful && isEarlier.every(earlier => earlier === true);
        if (isSure) return { possible, isSure };
      }
      return { possible, isSure: false };
    },
    doubt() {
      for (const outage of outages) {
        outage.isDoubtful = true;
        // Once it is forgotten, its next failure opens another, and so does one that waits although its object has recovered.
        if (!outage.isOver || outage.isUnsettled) outage.isLoose = true;
      }
    },
    settle() {
      outages = outages.filter(({ failures }) => failures.some(each => mayBeReceived(each, receivedAt)));
      for (const outage of outages) outage.isUnsettled = false;
    },
  };
}

/** The failures that may have opened an outage: those that were accepted before GitHub received the first of it. */
export function openersOf({ failures, isLoose }: Outage, receivedAt: ReceivedAt): readonly Failure[] {
  const received = failures.flatMap(({ dispatchId }) => receivedAt(dispatchId) ?? []);
  return isLoose ? failures : failures.filter(({ acceptedAt }) => acceptedAt < Math.min(...received));
}

/** Whether a failure that is not under way any more was received, as far as the dispatchers can know. */
export function mayBeReceived({ dispatchId, isInterrupted }: Failure, receivedAt: ReceivedAt): boolean {
  return isInterrupted || receivedAt(dispatchId) !== undefined;
}
