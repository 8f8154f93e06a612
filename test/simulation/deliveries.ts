import type { GitHubStub } from '@flux-dispatch/github-stub/stub';
import type { Expected } from './expected.ts';
import { type Outage, openersOf, type ReceivedAt } from './outages.ts';
import type { Span } from './span.ts';

type ReceivedDispatch = GitHubStub['dispatches'][number];

/** What happened otherwise than the model says. */
export interface Difference {
  /** The object whose life it is in. */
  readonly object: string;
  readonly what: string;
}

/** What of a payload is compared. */
interface Payload {
  readonly dispatch_id: string;
  readonly kustomization_name: string;
  readonly reason: string;
  readonly flux: {
    readonly class: string;
    readonly outage?: { readonly id: string; readonly since: string; readonly duration_seconds?: number };
  };
}

const payloadOf = ({ client_payload }: ReceivedDispatch) => client_payload as unknown as Payload;

/** Looks up when GitHub received a dispatch first, in a log that grows. */
export function receipts(log: readonly ReceivedDispatch[]): ReceivedAt {
  const first = new Map<string, number>();
  let read = 0;
  return dispatchId => {
    for (const dispatch of log.slice(read)) {
      const { dispatch_id } = payloadOf(dispatch);
      if (!first.has(dispatch_id)) first.set(dispatch_id, Date.parse(dispatch.receivedAt));
    }
    read = log.length;
    return first.get(dispatchId);
  };
}

/** Holds what GitHub received against what it should have received. */
export function compareDeliveries(
  dispatches: readonly Expected[],
  log: readonly ReceivedDispatch[],
  receivedAt: ReceivedAt,
): Difference[] {
  const received = Map.groupBy(log, dispatch => payloadOf(dispatch).dispatch_id);
  const differences = dispatches.flatMap(expected => {
    const own = received.get(expected.dispatchId) ?? [];
    const faults = own.flatMap(dispatch => payloadFaults(expected, dispatch, receivedAt));
    return [...countFaults(expected, own.length), ...new Set(faults)].map(fault => differs(expected, fault));
  });
  const accepted = new Set(dispatches.map(({ dispatchId }) => dispatchId));
  for (const [id, [dispatch]] of received) {
    if (accepted.has(id) || !dispatch) continue;
    const name = payloadOf(dispatch).kustomization_name;
    differences.push({ object: name, what: `dispatch ${id} (${name}) was sent, and never accepted` });
  }
  return [...differences, ...outageDifferences(dispatches, received)];
}

function differs({ object, what }: Expected, fault: string): Difference {
  return { object: object.split('|')[4] ?? '', what: `${what}: ${fault}` };
}

function countFaults({ class: eventClass, fate, mayRepeat }: Expected, times: number): string[] {
  if (fate === 'must' && times === 0) return ['never sent'];
  if (fate === 'never' && times > 0) {
    const why = eventClass === 'recovery' ? 'no failure of its outage was sent' : 'its object had recovered';
    return [`sent, though ${why}`];
  }
  return times > (mayRepeat ? 2 : 1) ? [`sent ${times} times`] : [];
}

function payloadFaults(expected: Expected, dispatch: ReceivedDispatch, receivedAt: ReceivedAt): string[] {
  const { reason, flux } = payloadOf(dispatch);
  const faults: string[] = [];
  const compare = (what: string, got: unknown, wanted: unknown) => {
    if (got !== wanted) faults.push(`${what} is ${got}, expected ${wanted}`);
  };
  compare('reason', reason, expected.reason);
  compare('class', flux.class, expected.class);
  compare('event type', dispatch.event_type, expected.eventType);
  compare('repository', `${dispatch.owner}/${dispatch.repo}`.toLowerCase(), expected.repo.toLowerCase());
  if (expected.class === 'success') {
    compare('outage', flux.outage, undefined);
    return faults;
  }
  if (!flux.outage) return [...faults, 'there is no outage'];

  const { since, duration_seconds: duration } = flux.outage;
  const sinceSeconds = Date.parse(since) / 1000;
  const openers = expected.outages.flatMap(outage => openersOf(outage, receivedAt));
  if (!openers.some(({ time }) => isWithin(sinceSeconds, time))) {
    const times = openers.map(({ time }) => textOf(time)).join(' or ');
    faults.push(`the outage is since ${since}, expected ${times}`);
  }
  if (expected.class === 'failure') {
    compare('duration', duration, undefined);
  } else if (!isFirstSuccess(sinceSeconds + (duration ?? Number.NaN), sinceSeconds, expected)) {
    const successes = expected.successes.filter(({ to }) => to > sinceSeconds).map(textOf);
    faults.push(`the duration since ${since} is ${duration} s, with successes at ${successes.join(', ')}`);
  }
  return faults;
}

/** One outage has one id, and no other has the same. */
function outageDifferences(
  dispatches: readonly Expected[],
  received: ReadonlyMap<string, readonly ReceivedDispatch[]>,
): Difference[] {
  const differences: Difference[] = [];
  const idsOf = new Map<Outage, Set<string>>();
  const outageOf = new Map<string, Outage>();
  const failuresFirst = [...dispatches].sort((a, b) => rank(a) - rank(b));
  for (const expected of failuresFirst) {
    const [outage, ...others] = expected.outages;
    // Where it cannot be told which outage it is, there is nothing to compare.
    if (!outage || others.length > 0) continue;
    const ids = idsOf.get(outage) ?? new Set();
    idsOf.set(outage, ids);
    for (const dispatch of received.get(expected.dispatchId) ?? []) {
      const id = payloadOf(dispatch).flux.outage?.id;
      if (id === undefined) continue;
      const known: Outage = outageOf.get(id) ?? outage;
      if (known !== outage) differences.push(differs(expected, `has the id of another outage, ${id}`));
      outageOf.set(id, known);
      // What may be two outages may have two ids. Their recoveries have one of these.
      const mayBeNew = outage.isLoose && (expected.class === 'failure' || isInterrupted(outage));
      if (ids.size > 0 && !ids.has(id) && !mayBeNew) {
        differences.push(differs(expected, `the outage is ${id}, expected ${[...ids].join(' or ')}`));
      }
      ids.add(id);
    }
  }
  return differences;
}

const rank = (expected: Expected) => (expected.class === 'recovery' ? 1 : 0);

function isInterrupted({ failures }: Outage): boolean {
  return failures.some(failure => failure.isInterrupted);
}

/** Whether an outage that began at `since` may have ended at `end`, both in seconds since the epoch. */
function isFirstSuccess(end: number, since: number, { successes, outages }: Expected): boolean {
  if (!successes.some(success => isWithin(end, success))) return false;
  const isVague = outages.some(({ isLoose, isDoubtful }) => isLoose || isDoubtful);
  return isVague || !successes.some(({ from, to }) => from > since && to < end);
}

function isWithin(seconds: number, { from, to }: Span): boolean {
  return from <= seconds && seconds <= to;
}

function textOf({ from, to }: Span): string {
  const [first, last] = [from, to].map(seconds => new Date(seconds * 1000).toISOString());
  return from === to ? `${first}` : `${first} to ${last}`;
}
