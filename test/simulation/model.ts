import { type Class, readEvent, timeOf } from './events.ts';
import { type Expected, recoveryFate } from './expected.ts';
import { createOutages, type Outage, type ReceivedAt } from './outages.ts';
import type { Stream, Target } from './remembered.ts';
import { isBefore, latest, type Span } from './span.ts';
import type { ControllerEvent } from './steps.ts';

/*
 * What SPEC sections 2 and 3 ask for, once more and on its own: nothing here comes from libs/ or apps/. It is small enough to
 * be read in one sitting, and slow enough not to be shipped.
 */

/** What ingest may answer for one repository. */
export type Outcome = 'enqueued' | 'duplicate' | 'rate_limited' | 'stale' | 'not_routed' | 'ignored_reason';

export interface ModelSettings {
  readonly maxStreams: number;
  readonly keepMs: number;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly rateLimitMs: number;
}

export interface Arrival {
  readonly event: ControllerEvent;
  readonly repo: string;
  /** From the post to its answer, in milliseconds since the epoch, by Redis. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

/** @param receivedAt which failure GitHub received first is for GitHub to say */
export function createModel(settings: ModelSettings, receivedAt: ReceivedAt) {
  const streams = new Map<string, Stream>();
  const targets = new Map<string, Target>();
  const dispatches: Expected[] = [];
  let clock = 0;
  let githubUp = true;

  /** Whether a stream may have been forgotten: unseen for too long, or for longer than is promised while there are too many. */
  function forgettable({ seen }: { readonly seen: number }): boolean {
    const unseen = clock - seen;
    const size = Math.max(streams.size, targets.size);
    return unseen >= settings.ttlMs || (unseen >= settings.keepMs && size > settings.maxStreams);
  }

  /** An event that is minutes older than what has been seen counts as of its arrival, unless that has been forgotten. */
  function unlessLate(time: Span, now: Span, newest: Span | undefined, seen = 0): Span {
    if (newest === undefined || newest.to - time.from <= LATE_S) return time;
    const isLate = newest.from - time.to > LATE_S && !forgettable({ seen });
    return isLate ? now : { from: time.from, to: now.to };
  }

  function targetOf(object: string): Target {
    const outages = () => createOutages(object, receivedAt);
    const target = targets.get(object) ?? {
      outages: outages(),
      successes: [],
      recovered: undefined,
      seen: clock,
    };
    targets.set(object, target);
    return target;
  }

  /** What the model knows about an arrival: which stream it belongs to, and when it happened. */
  function look({ event, repo, sentAt, answeredAt }: Arrival) {
    const read = readEvent(event, repo);
    if (read === undefined) return undefined;
    const { eventClass, route, object, key } = read;
    const stream = streams.get(key);
    const target = targets.get(object);
    const now = { from: Math.floor(sentAt / 1000), to: Math.floor(answeredAt / 1000) };
    const given = timeOf(event, now);
    // Each outage has its recovery, in whichever order they arrive: there only the object's last success counts.
    const inOrder = route === 'recovery' ? given : unlessLate(given, now, stream?.newest.time, stream?.seen);
    return {
      ...read,
      ...{ stream, target, now },
      // Flux's retries do not make a failure late by minutes: one that is so much older than a success is by a wrong clock.
      time:
        eventClass === 'failure' || route === 'recovery'
          ? unlessLate(inOrder, now, target?.recovered, target?.seen)
          : inOrder,
    };
  }

  /** Every outcome that an event may have now: one, but for what may have been forgotten, or be under way. */
  function expect(arrival: Arrival): readonly Outcome[] {
    const seen = look(arrival);
    if (seen === undefined) return ['ignored_reason'];
    const { route, stream, eventClass, object, id, time, repeat, target } = seen;
    if (route === 'none') return ['not_routed'];
    if (route === 'recovery') {
      const { possible, isSure } = endedBy(arrival, seen);
      const outcomes = possible.flatMap(outage => recoveryOutcomes(stream, outage));
      return [...new Set<Outcome>(isSure ? outcomes : [...outcomes, 'not_routed'])];
    }
    if (!stream) return ['enqueued'];
    const isKnown = remembers(stream, id, eventClass, object, time);
    const isStale = isBefore(time, stream.newest.time);
    const outcome = isKnown ? repeat : isStale ? 'stale' : 'enqueued';
    const since = stream.enqueued.get(id)?.clock ?? clock;
    const isOver = repeat === 'rate_limited' && clock - since >= settings.rateLimitMs;
    // That its object has recovered may be forgotten before its failures are.
    const isVague = eventClass === 'failure' && target?.recovered !== undefined && forgettable(target);
    if (isOver || isVague || forgettable(stream) || stream.doubtful.has(id) || isKnown === undefined)
      return [...new Set<Outcome>([outcome, 'enqueued', repeat])];
    if (!isKnown && isStale === undefined) return ['stale', 'enqueued'];
    // A failure that arrives after the success that ended its outage repeats one whose claim may have ended with it. It is
    // superseded like that one.
    const isLate = isOvertaken(eventClass, object, time) !== false;
    return outcome === repeat && isLate ? [repeat, 'enqueued'] : [outcome];
  }

  /** The outages that a success for an Alert that takes recoveries may have ended. */
  function endedBy(arrival: Arrival, { target, time }: { target: Target | undefined; time: Span }) {
    if (!target) return { possible: [], isSure: false };
    const { possible, isSure } = target.outages.endedBy(time, arrival);
    return { possible, isSure: isSure && !forgettable(target) };
  }

  /** What the recovery from an outage may come to. */
  function recoveryOutcomes(stream: Stream | undefined, { id, isLoose }: Outage): Outcome[] {
    if (!stream?.enqueued.has(id)) return ['enqueued'];
    const isVague = isLoose || forgettable(stream) || stream.doubtful.has(id);
    return isVague ? ['duplicate', 'enqueued'] : ['duplicate'];
  }

  /** What follows from the outcome that an event had. */
  function apply(arrival: Arrival, outcome: Outcome, dispatchId: string | undefined): void {
    const seen = look(arrival);
    if (seen === undefined) return;
    const { event, repo, sentAt } = arrival;
    const { stream, eventClass, route, object, eventType, key, time, repeat } = seen;
    const recovery = route === 'recovery' ? recoveryFrom(arrival, seen, outcome) : undefined;
    if (outcome !== 'stale' && eventClass === 'success') recover(arrival, object, seen);
    const id = recovery ? (recovery.outages[0]?.id ?? '') : seen.id;
    if (stream) resolveDoubt(stream, id, outcome === repeat);
    if (outcome === repeat && stream) stream.seen = clock;
    if (outcome !== 'enqueued') return;

    const { enqueued, doubtful } =
      stream && (eventClass === 'failure' || recovery)
        ? stream
        : { enqueued: new Map(), doubtful: new Set<string>() };
    for (const each of recovery?.outages.map(outage => outage.id) ?? [id]) {
      doubtful.delete(each);
      enqueued.set(each, { time, clock });
    }
    const before = stream && !forgettable(stream) ? stream.newest.time : undefined;
    const newest = { id, time: latest(time, before) };
    streams.set(key, { newest, enqueued, doubtful, seen: clock });
    const overtaken = isOvertaken(eventClass, object, time);
    const dispatch = {
      dispatchId: dispatchId ?? '',
      what: `${event.kind}/${event.name} ${event.reason} ${event.metadata['revision'] ?? ''} → ${repo} ${eventType}`,
      ...{ class: recovery ? ('recovery' as const) : eventClass, reason: event.reason },
      ...{ repo, eventType, time, object, acceptedAt: sentAt },
      // One that arrives after the success that ended its outage is superseded at its first attempt.
      fate: overtaken ? ('never' as const) : overtaken === undefined ? ('may' as const) : ('must' as const),
      ...{ mayRepeat: false, isInterrupted: false },
      notBefore: event.reason === 'DependencyNotReady' ? sentAt + settings.graceMs : 0,
    };
    // A later report of it may be the first one by its time.
    if (recovery) dispatches.push({ ...dispatch, ...recovery, successes: [...targetOf(object).successes] });
    else if (eventClass === 'failure' && dispatch.fate !== 'never') fail(object, dispatch);
    else dispatches.push({ ...dispatch, outages: [], successes: [] });
  }

  /** A failure was accepted that may be sent. */
  function fail(object: string, dispatch: Omit<Expected, 'outages' | 'successes'>): void {
    const target = targetOf(object);
    if (forgettable(target)) target.outages.doubt();
    const outages: Outage[] = [];
    const failure: Expected = { ...dispatch, outages, successes: [] };
    outages.push(target.outages.fail(failure, dispatch.fate === 'must'));
    dispatches.push(failure);
    if (dispatch.fate === 'must' && githubUp) target.seen = clock;
  }

  /** The outage that a success was the recovery from, by its outcome. */
  function recoveryFrom(arrival: Arrival, seen: NonNullable<ReturnType<typeof look>>, outcome: Outcome) {
    const { possible, isSure } = endedBy(arrival, seen);
    const fitting = possible.filter(outage => recoveryOutcomes(seen.stream, outage).includes(outcome));
    const outages = fitting.length > 0 ? fitting : possible;
    if (outcome === 'enqueued' && outages.length > 1) for (const outage of outages) outage.isLoose = true;
    // It is not sent where no failure of the outage was, which may not be known before all is settled.
    const fate =
      isSure && possible.length === 1 && !outages[0]?.isLoose ? ('must' as const) : ('may' as const);
    return { outages, fate };
  }

  /** An outcome may tell whether a stream has been forgotten. */
  function resolveDoubt(stream: Stream, id: string, isRepeat: boolean): void {
    if (forgettable(stream)) stream.doubtful = new Set(stream.enqueued.keys());
    if (!stream.doubtful.has(id)) return;
    if (!isRepeat) for (const each of stream.doubtful) stream.enqueued.delete(each);
    stream.doubtful.clear();
  }

  /** Whether an object has recovered after a failure of it; undefined where that cannot be told. */
  function isOvertaken(eventClass: Class, object: string, time: Span): boolean | undefined {
    const recovered = targets.get(object)?.recovered;
    if (eventClass === 'success' || recovered === undefined) return false;
    return isBefore(time, recovered);
  }

  /** Whether an event is known; undefined where that cannot be told. */
  function remembers(stream: Stream, id: string, eventClass: Class, object: string, time: Span) {
    if (eventClass === 'success') return stream.newest.id === id;
    const enqueued = stream.enqueued.get(id)?.time;
    if (enqueued === undefined) return false;
    const recovered = targets.get(object)?.recovered;
    if (recovered === undefined) return true;
    // A success re-arms what is strictly older than itself, for what happens from then on.
    const [ended, isEarlier] = [isBefore(enqueued, recovered), isBefore(time, recovered)];
    if (ended === false || isEarlier === true) return true;
    return ended === true && isEarlier === false ? false : undefined;
  }

  /** The object was healthy then: its older failures that still wait are not to be sent any more. */
  function recover(moment: Arrival, object: string, { time, now }: { time: Span; now: Span }): void {
    const target = targetOf(object);
    const isForgotten = forgettable(target);
    if (isForgotten) target.outages.doubt();
    const before = target.recovered;
    const at = unlessLate(time, now, before, target.seen);
    const from = before && !isForgotten ? before.from : 0;
    target.recovered = latest(at, before && { from, to: before.to });
    target.seen = clock;
    target.successes.push(at);
    target.outages.succeed(at, moment);
    for (const dispatch of dispatches) {
      if (dispatch.object !== object || dispatch.class !== 'failure') continue;
      if (dispatch.fate !== 'must' || sent.has(dispatch)) continue;
      const isOver = isBefore(dispatch.time, at);
      if (isOver === false) continue;
      const waits = Date.now() < dispatch.notBefore;
      dispatch.fate = isOver && (waits || !githubUp) ? 'never' : 'may';
      if (!waits) begun.add(dispatch);
    }
  }

  // What was sent for sure when GitHub went away: everything before the last time that all was settled.
  const sent = new WeakSet<Expected>();
  // Superseded while GitHub is away. An attempt that began before that may be under way until GitHub is back.
  const begun = new Set<Expected>();

  return {
    expect,
    apply,
    dispatches,
    knows: (dispatchId: string | undefined) => dispatches.some(each => each.dispatchId === dispatchId),
    pass(ms: number) {
      clock += ms;
      // That an object has recovered may be forgotten as well.
      for (const target of targets.values()) if (forgettable(target)) target.outages.doubt();
      if (Math.max(streams.size, targets.size) <= settings.maxStreams) return;
      for (const dispatch of dispatches) {
        if (dispatch.fate === 'never' && !sent.has(dispatch)) dispatch.fate = 'may';
      }
    },
    /** Everything that was accepted so far has been sent or superseded. */
    settle() {
      for (const dispatch of dispatches) {
        if (dispatch.class === 'recovery' && !sent.has(dispatch))
          dispatch.fate = recoveryFate(dispatch, receivedAt);
        sent.add(dispatch);
      }
      for (const { outages } of targets.values()) outages.settle();
    },
    dispatcherKilled() {
      for (const dispatch of dispatches) {
        dispatch.mayRepeat ||= !sent.has(dispatch);
        dispatch.isInterrupted ||= !sent.has(dispatch);
      }
    },
    redisKilled() {
      for (const dispatch of dispatches) dispatch.isInterrupted ||= !sent.has(dispatch);
    },
    /** @param isIdle no attempt is under way, so none reaches another GitHub than it began with */
    github(up: boolean, isIdle: boolean) {
      githubUp = up;
      if (!isIdle) for (const dispatch of begun) dispatch.fate = 'may';
      begun.clear();
    },
  };
}

// Flux's retries make an event late by up to half a minute. Beyond this, a clock differs.
const LATE_S = 120;
