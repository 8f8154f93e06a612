import type { ControllerEvent } from './steps.ts';

/*
 * What SPEC sections 2 and 3 ask for, once more and on its own: nothing here comes from libs/ or apps/. It is small enough to
 * be read in one sitting, and slow enough not to be shipped.
 */

/** What ingest may answer for one repository. */
export type Outcome = 'enqueued' | 'duplicate' | 'rate_limited' | 'stale' | 'not_routed' | 'ignored_reason';

/** A time in seconds. That of an arrival is only known to lie between the post and its answer. */
interface Span {
  readonly from: number;
  readonly to: number;
}

/** A dispatch that was accepted, and whether GitHub is to receive it. */
export interface Expected {
  readonly dispatchId: string;
  readonly what: string;
  readonly class: Class;
  readonly time: Span;
  readonly object: string;
  /** must: once. may: it was superseded while it may have been on its way. never: superseded while it could not be sent. */
  fate: 'must' | 'may' | 'never';
  /** A dispatcher that may have been sending it was killed, so GitHub may receive it twice. */
  mayRepeat: boolean;
  /** Milliseconds since the epoch, before which it is not sent. */
  readonly notBefore: number;
}

type Class = 'success' | 'failure';

const SUCCESSES = new Set(['ReconciliationSucceeded', 'InstallSucceeded', 'UpgradeSucceeded']);
const FAILURES = new Set([
  ...[
    'HealthCheckFailed',
    'BuildFailed',
    'ReconciliationFailed',
    'PruneFailed',
    'ArtifactFailed',
    'AccessDenied',
  ],
  ...['UpgradeFailed', 'RollbackSucceeded', 'TestFailed', 'DependencyNotReady'],
]);

export interface ModelSettings {
  readonly maxStreams: number;
  readonly keepMs: number;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly rateLimitMs: number;
}

interface Stream {
  newest: { id: string; time: Span };
  /** By identity: when it was enqueued, by the event's time and by the model's clock. Of successes the newest alone. */
  readonly enqueued: Map<string, { readonly time: Span; readonly clock: number }>;
  /** What may have been forgotten since: all of it, or nothing. */
  doubtful: Set<string>;
  /** By the model's clock. */
  seen: number;
}

export interface Arrival {
  readonly event: ControllerEvent;
  readonly repo: string;
  /** From the post to its answer, in seconds since the epoch, by Redis. */
  readonly now: Span;
}

export function createModel(settings: ModelSettings) {
  const streams = new Map<string, Stream>();
  const healthy = new Map<string, { time: Span; seen: number }>();
  const dispatches: Expected[] = [];
  let clock = 0;
  let githubUp = true;

  /** Whether a stream may have been forgotten: unseen for too long, or for longer than is promised while there are too many. */
  function forgettable({ seen }: { readonly seen: number }): boolean {
    const unseen = clock - seen;
    const size = Math.max(streams.size, healthy.size);
    return unseen >= settings.ttlMs || (unseen >= settings.keepMs && size > settings.maxStreams);
  }

  /** An event that is minutes older than what has been seen counts as of its arrival, unless that has been forgotten. */
  function unlessLate(time: Span, now: Span, newest: { time: Span; seen: number } | undefined): Span {
    if (newest === undefined || newest.time.to - time.from <= LATE_S) return time;
    const isLate = newest.time.from - time.to > LATE_S && !forgettable(newest);
    return isLate ? now : { from: time.from, to: now.to };
  }

  /** What the model knows about an arrival: which stream it belongs to, and when it happened. */
  function look({ event, repo, now }: Arrival) {
    const eventClass = classOf(event);
    if (eventClass === undefined) return undefined;
    const { metadata, kind, reason } = event;
    const object = [
      metadata['cluster'],
      metadata['product'],
      metadata['env'],
      kind,
      event.name,
      repo.toLowerCase(),
    ].join('|');
    const eventType = metadata['dispatch_event'] ?? '';
    const takes = metadata['dispatch_on'] ?? (eventType.endsWith('-failed') ? 'failure' : 'success');
    const key = [object, eventClass, eventType].join('|');
    const stream = streams.get(key);
    return {
      ...{ eventClass, object, eventType, key, stream },
      routed: takes === 'any' || takes === eventClass,
      // Flux's retries do not make a failure late by minutes: one that is so much older than a success is by a wrong clock.
      time: unlessLate(
        unlessLate(timeOf(event, now), now, stream && { time: stream.newest.time, seen: stream.seen }),
        now,
        eventClass === 'failure' ? healthy.get(object) : undefined,
      ),
      id: `${reason}|${identityOf(event, eventClass)}`,
      repeat:
        eventClass === 'failure' && !metadata['revision']
          ? ('rate_limited' as const)
          : ('duplicate' as const),
    };
  }

  /** Every outcome that an event may have now: one, but for what may have been forgotten. */
  function expect(arrival: Arrival): readonly Outcome[] {
    const seen = look(arrival);
    if (seen === undefined) return ['ignored_reason'];
    const { routed, stream, eventClass, object, id, time, repeat } = seen;
    if (!routed) return ['not_routed'];
    if (!stream) return ['enqueued'];
    const isKnown = remembers(stream, id, eventClass, object, time);
    const isStale = isBefore(time, stream.newest.time);
    const outcome = isKnown ? repeat : isStale ? 'stale' : 'enqueued';
    const since = stream.enqueued.get(id)?.clock ?? clock;
    const isOver = repeat === 'rate_limited' && clock - since >= settings.rateLimitMs;
    // That its object has recovered may be forgotten before its failures are.
    const recovery = eventClass === 'failure' ? healthy.get(object) : undefined;
    const isVague = recovery !== undefined && forgettable(recovery);
    if (isOver || isVague || forgettable(stream) || stream.doubtful.has(id) || isKnown === undefined)
      return [...new Set<Outcome>([outcome, 'enqueued', repeat])];
    if (!isKnown && isStale === undefined) return ['stale', 'enqueued'];
    // A failure that arrives after the success that ended its outage repeats one whose claim may have ended with it. It is
    // superseded like that one.
    const isLate = isOvertaken(eventClass, object, time) !== false;
    return outcome === repeat && isLate ? [repeat, 'enqueued'] : [outcome];
  }

  /** What follows from the outcome that an event had. */
  function apply(arrival: Arrival, outcome: Outcome, dispatchId: string | undefined, sentAt: number): void {
    const seen = look(arrival);
    if (seen === undefined) return;
    const { event, repo, now } = arrival;
    const { stream, eventClass, object, eventType, key, id, time, repeat } = seen;
    if (outcome !== 'stale' && eventClass === 'success') recover(object, time, now);
    if (stream) resolveDoubt(stream, id, outcome === repeat);
    if (outcome === repeat && stream) stream.seen = clock;
    if (outcome !== 'enqueued') return;

    const { enqueued, doubtful } =
      stream && eventClass === 'failure' ? stream : { enqueued: new Map(), doubtful: new Set<string>() };
    doubtful.delete(id);
    enqueued.set(id, { time, clock });
    streams.set(key, { newest: { id, time }, enqueued, doubtful, seen: clock });
    const overtaken = isOvertaken(eventClass, object, time);
    dispatches.push({
      dispatchId: dispatchId ?? '',
      what: `${event.kind}/${event.name} ${event.reason} ${event.metadata['revision'] ?? ''} → ${repo} ${eventType}`,
      ...{ class: eventClass, time, object },
      // One that arrives after the success that ended its outage is superseded at its first attempt.
      fate: overtaken ? 'never' : overtaken === undefined ? 'may' : 'must',
      mayRepeat: false,
      notBefore: event.reason === 'DependencyNotReady' ? sentAt + settings.graceMs : 0,
    });
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
    const recovered = healthy.get(object)?.time;
    if (eventClass === 'success' || recovered === undefined) return false;
    return isBefore(time, recovered);
  }

  /** Whether an event is known; undefined where that cannot be told. */
  function remembers(stream: Stream, id: string, eventClass: Class, object: string, time: Span) {
    if (eventClass === 'success') return stream.newest.id === id;
    const enqueued = stream.enqueued.get(id)?.time;
    if (enqueued === undefined) return false;
    const recovered = healthy.get(object)?.time;
    if (recovered === undefined) return true;
    // A success re-arms what is strictly older than itself, for what happens from then on.
    const [ended, isEarlier] = [isBefore(enqueued, recovered), isBefore(time, recovered)];
    if (ended === false || isEarlier === true) return true;
    return ended === true && isEarlier === false ? false : undefined;
  }

  /** The object was healthy then: its older failures that still wait are not to be sent any more. */
  function recover(object: string, time: Span, now: Span): void {
    const before = healthy.get(object);
    const at = unlessLate(time, now, before);
    const { from = 0, to = 0 } = before?.time ?? {};
    const isKept = before !== undefined && !forgettable(before);
    const newest = { from: isKept ? Math.max(at.from, from) : at.from, to: Math.max(at.to, to) };
    healthy.set(object, { time: newest, seen: clock });
    for (const dispatch of dispatches) {
      if (dispatch.object !== object || dispatch.class !== 'failure') continue;
      if (dispatch.fate !== 'must' || sent.has(dispatch)) continue;
      const isOver = isBefore(dispatch.time, at);
      if (isOver === false) continue;
      const isUnsent = !githubUp || Date.now() < dispatch.notBefore;
      dispatch.fate = isOver && isUnsent ? 'never' : 'may';
    }
  }

  // What was sent for sure when GitHub went away: everything before the last time that all was settled.
  const sent = new WeakSet<Expected>();

  return {
    expect,
    apply,
    dispatches,
    knows: (dispatchId: string | undefined) => dispatches.some(each => each.dispatchId === dispatchId),
    pass(ms: number) {
      clock += ms;
      // That an object has recovered may be forgotten as well.
      if (Math.max(streams.size, healthy.size) <= settings.maxStreams) return;
      for (const dispatch of dispatches) {
        if (dispatch.fate === 'never' && !sent.has(dispatch)) dispatch.fate = 'may';
      }
    },
    /** Whether a dispatch waits for its time. */
    waits: () => githubUp && dispatches.some(each => each.notBefore > 0 && !sent.has(each)),
    /** Everything that was accepted so far has been sent or superseded. */
    settle() {
      for (const dispatch of dispatches) sent.add(dispatch);
    },
    dispatcherKilled() {
      for (const dispatch of dispatches) dispatch.mayRepeat ||= !sent.has(dispatch);
    },
    github(up: boolean) {
      githubUp = up;
    },
  };
}

// Flux's retries make an event late by up to half a minute. Beyond this, a clock differs.
const LATE_S = 120;

function timeOf({ timestamp }: ControllerEvent, now: Span): Span {
  return timestamp === undefined || timestamp > now.from ? now : { from: timestamp, to: timestamp };
}

/** undefined where it cannot be told. */
function isBefore(a: Span, b: Span): boolean | undefined {
  if (a.to < b.from) return true;
  return a.from >= b.to ? false : undefined;
}

function classOf({ reason, severity }: ControllerEvent): Class | undefined {
  if (SUCCESSES.has(reason)) return severity === 'error' ? 'failure' : 'success';
  if (!FAILURES.has(reason)) return undefined;
  // A deletion reports the reason of the last condition, with severity info.
  const informs = reason === 'DependencyNotReady' || reason === 'RollbackSucceeded';
  return severity === 'info' && !informs ? undefined : 'failure';
}

function identityOf({ uid, message, metadata }: ControllerEvent, eventClass: Class): string {
  const revision = metadata['revision'] ?? '';
  const digest = /(?:^|@)(sha(?:1|256):[0-9a-f]+)$/.exec(revision)?.[1];
  if (eventClass === 'failure') return digest ?? revision;
  return digest === undefined ? `${uid} ${revision} ${message.split('\n', 1)[0]}` : `${uid} ${digest}`;
}
