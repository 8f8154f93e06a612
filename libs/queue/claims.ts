import type { Redis } from 'ioredis';
import type { Dispatch } from './dispatch.ts';
import { LAST_PRIORITY } from './dispatch-queue.ts';
import { type Feedback, readFeedback, writeFeedback } from './feedback.ts';
import { claimKeys } from './keys.ts';
import { defineScript } from './script.ts';

/**
 * BullMQ's `deduplication` sets the claim of a deployment in the script that enqueues the job, so one never exists
 * without the other. The claim holds the job's id and does not expire while the job is pending. A stream remembers what
 * was delivered beyond that. The scripts here run before the enqueue and when a dispatch ends.
 */
export interface Claims {
  /**
   * Whether an event's dispatch is news and goes on to the enqueue, repeats another one, or is older than the newest of
   * its stream. See admit.lua. The requests of one event take one round trip.
   * @param isFull whether Redis has no room for another dispatch: what would be news is `full` then
   */
  admit(requests: readonly AdmitRequest[], memory: Memory, isFull: boolean): Promise<Admission[]>;
  /** Notes a success that no dispatch is wanted for: it re-arms the failures of its objects all the same. */
  recover(objectIds: readonly string[], eventTime: number | undefined, memory: Memory): Promise<void>;
  /**
   * Keeps the claim of a delivered dispatch for the time that the dispatch says, and has its stream remember it.
   * @param githubTime when GitHub accepted it, by GitHub's clock, in milliseconds since the epoch, and then its receipt is to be
   *   opened; nothing where none is wanted
   * @returns when, by Redis' clock, in milliseconds since the epoch
   */
  settleDelivered(jobId: string, dispatch: Dispatch, githubTime?: number | 'unknown'): Promise<number>;
  /**
   * Keeps the claim of a dead dispatch for its cooldown, and answers repeats of its event with the reason as long. A claim that
   * is not its own, or that it got again since, stays.
   */
  settleDead(jobId: string, dedupId: string, death: DeadClaim): Promise<void>;
  /**
   * Ends the claim of a dispatch that is not to be sent any more.
   * @param run when the job that ends was queued, in milliseconds since the epoch. Queued again since, it keeps its claim
   */
  release(jobId: string, dispatch: Dispatch, run: number): Promise<void>;
  /** Ends a claim that a dead dispatch still holds for its cooldown. Any other claim stays. */
  endCooldown(dedupId: string): Promise<void>;
  /** Ends the claim of this dispatch once it has ended, so that it can be enqueued again. Any other claim stays. */
  reopen(jobId: string, dedupId: string): Promise<void>;
  /**
   * Answers repeats of a delivered dispatch with what was found out about its missing workflow run. Does nothing where another
   * dispatch stands for the same events by now, or this one is on the queue again.
   * @param ttlMs for how long, in milliseconds
   */
  noteNoRun(dispatch: Dispatch, finding: string, ttlMs: number): Promise<void>;
  /** A workflow run of this dispatch was seen: repeats are plain repeats again. */
  noteRun(dispatch: Dispatch): Promise<void>;
  /** Whether this job was delivered before: its worker died between GitHub's answer and the end of the job. */
  isDelivered(jobId: string, dedupId: string): Promise<boolean>;
  /** Which dispatch holds a claim, or did until it was delivered, and what has become of it. */
  holder(dispatch: Remembered): Promise<Holder | undefined>;
  /** The number of streams that are remembered. */
  countStreams(): Promise<number>;
}

/** What a dispatch is remembered by: for a while by its claim, and then by its stream if it has one. */
export type Remembered = { readonly dedup_id: string; readonly stream_id?: string | undefined };

export interface Holder {
  readonly id: string;
  readonly state: 'pending' | 'delivered' | 'dead';
}

/** How the claim of a dead dispatch goes on. */
export interface DeadClaim {
  /** For how long it stays, in milliseconds; 0: it ends at once. */
  readonly cooldownMs: number;
  /** When the job that ends was queued, in milliseconds since the epoch. If it was queued again since, its claim stays. */
  readonly run?: number;
  /** Why it died, and what to do about it. */
  readonly reason?: string;
  /** The object that it is a failure of: ends the attempt at it. Nothing where it is none. */
  readonly failureOf?: string | undefined;
}

export interface AdmitRequest {
  readonly dedup_id: string;
  readonly stream_id: string;
  readonly object_id: string;
  readonly repo: string;
  readonly class: Dispatch['class'];
  /** Seconds since the epoch; undefined where it is unknown. */
  readonly event_time: number | undefined;
  /** Whether a delivered dispatch is remembered for as long as its stream, rather than its claim. */
  readonly remembered: boolean;
}

/** How much is remembered, and for how long. */
export interface Memory {
  /** How long after it was last seen, in milliseconds. */
  readonly DEDUP_TTL: number;
  /** How many streams, and how many objects. */
  readonly DEDUP_MAX_ENTRIES: number;
  /** How long after it was last seen however many there are, in milliseconds. */
  readonly DEDUP_KEEP: number;
}

export type Admission =
  | {
      readonly kind: 'add';
      /** When the event happened, in seconds since the epoch: at its arrival where its own time cannot be right. */
      readonly eventTime: number;
      /** By Redis' clock, in milliseconds since the epoch. */
      readonly now: number;
      readonly priority: number;
      /** Whether two sources overwrite each other in the stream. True once an hour while they do. */
      readonly conflict: boolean;
    }
  | {
      readonly kind: 'repeat';
      readonly dispatchId: string;
      /** What the team is to hear about that dispatch. */
      readonly feedback?: Feedback;
    }
  | { readonly kind: 'stale' }
  | { readonly kind: 'full' };

type AdmitReply =
  | ['add', eventTime: number, now: number, priority: number, conflict: 0 | 1]
  | ['repeat', dispatchId: string, feedback: string]
  | ['stale']
  | ['full'];

export function createClaims(redis: Redis, prefix: string): Claims {
  const keys = claimKeys(prefix);
  const admitOne = defineScript<AdmitReply>(redis, 'outages.lua', 'memory.lua', 'turns.lua', 'admit.lua');
  const recoverOne = defineScript<null>(redis, 'outages.lua', 'memory.lua', 'recover.lua');
  const settleClaim = defineScript<number>(redis, 'outages.lua', 'settle.lua');
  const findHolder = defineScript<[id: string, state: Holder['state']] | null>(
    redis,
    'holder.lua',
    'find-holder.lua',
  );
  const endCooldown = defineScript<null>(redis, 'end-cooldown.lua');
  const reopen = defineScript<null>(redis, 'reopen.lua');
  const noteNoRun = defineScript<null>(redis, 'holder.lua', 'note-no-run.lua');
  const noteRun = defineScript<null>(redis, 'holder.lua', 'note-run.lua');

  async function admit(request: AdmitRequest, memory: Memory, isFull: boolean): Promise<Admission> {
    const { dedup_id, stream_id, object_id, repo, event_time, remembered } = request;
    const names = [keys.claim(dedup_id), keys.delivered, keys.stream(stream_id), keys.streams];
    names.push(keys.healthy, keys.objects, keys.turns, keys.waiting, keys.feedback(dedup_id));
    const values = [dedup_id, stream_id, object_id, request.class, event_time ?? '', remembered ? 1 : 0];
    const { DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP } = memory;
    const limits = [DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP];
    const prefixes = [keys.streamPrefix, keys.outagesPrefix, keys.job('')];
    const turn = [repo.toLowerCase(), LAST_PRIORITY, isFull ? 1 : 0];
    const reply = await admitOne(names, [...values, ...limits, ...prefixes, ...turn]);
    switch (reply[0]) {
      case 'add': {
        const [, eventTime, now, priority, conflict] = reply;
        return { kind: 'add', eventTime, now, priority, conflict: conflict === 1 };
      }
      case 'repeat': {
        const feedback = readFeedback(reply[2]);
        return { kind: 'repeat', dispatchId: reply[1], ...(feedback && { feedback }) };
      }
      case 'stale':
        return { kind: 'stale' };
      case 'full':
        return { kind: 'full' };
      default:
        return reply satisfies never;
    }
  }

  /** What says which dispatch holds a claim. */
  const holdingKeys = ({ dedup_id, stream_id = '' }: Remembered) => [
    ...[keys.claim(dedup_id), keys.delivered, keys.stream(stream_id)],
  ];

  async function holder(dispatch: Remembered): Promise<Holder | undefined> {
    const held = await findHolder(holdingKeys(dispatch), [dispatch.dedup_id]);
    return held === null ? undefined : { id: held[0], state: held[1] };
  }

  const settledKeys = (jobId: string, dedupId: string, streamId = '', failureOf = '') => [
    ...[keys.claim(dedupId), keys.delivered, keys.job(jobId), keys.stream(streamId), keys.streams],
    ...[keys.feedback(dedupId), keys.outages(failureOf), keys.unopened],
  ];

  async function settleDead(jobId: string, dedupId: string, death: DeadClaim) {
    const { cooldownMs, run, reason, failureOf } = death;
    const feedback = reason === undefined ? '' : writeFeedback({ outcome: 'undeliverable', message: reason });
    // No stream: nothing is written into it.
    const values = [jobId, dedupId, cooldownMs, 'dead', run ?? '', 0, '', '', feedback];
    const isFailure = failureOf === undefined ? 0 : 1;
    await settleClaim(settledKeys(jobId, dedupId, undefined, failureOf), [...values, isFailure, '']);
  }

  return {
    admit: (requests, memory, isFull) => Promise.all(requests.map(request => admit(request, memory, isFull))),
    async recover(objectIds, eventTime, { DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP }) {
      const values = [eventTime ?? '', DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP, keys.outagesPrefix];
      await Promise.all(objectIds.map(id => recoverOne([keys.healthy, keys.objects], [id, ...values])));
    },
    async settleDelivered(jobId, dispatch, githubTime) {
      const { dedup_id, claim, stream_id, event_time } = dispatch;
      const values = [jobId, dedup_id, claim.delivered_ttl_ms, 'delivered', ''];
      const memory = stream_id === undefined ? [0, '', ''] : [1, event_time, stream_id];
      const failureOf = failedObject(dispatch);
      const isFailure = failureOf === undefined ? 0 : 1;
      const names = settledKeys(jobId, dedup_id, stream_id, failureOf);
      const receipt = githubTime === 'unknown' ? 0 : (githubTime ?? '');
      return await settleClaim(names, [...values, ...memory, '', isFailure, receipt]);
    },
    settleDead,
    release: (jobId, dispatch, run) =>
      settleDead(jobId, dispatch.dedup_id, { cooldownMs: 0, run, failureOf: failedObject(dispatch) }),
    async endCooldown(dedupId) {
      await endCooldown([keys.claim(dedupId), keys.delivered, keys.feedback(dedupId)], [dedupId]);
    },
    async reopen(jobId, dedupId) {
      await reopen([keys.claim(dedupId), keys.delivered, keys.feedback(dedupId)], [dedupId, jobId]);
    },
    async noteNoRun(dispatch, finding, ttlMs) {
      const { dedup_id, payload } = dispatch;
      const feedback = writeFeedback({ outcome: 'no_run', message: finding });
      const values = [dedup_id, payload.dispatch_id, feedback, ttlMs];
      await noteNoRun([...holdingKeys(dispatch), keys.feedback(dedup_id)], values);
    },
    async noteRun(dispatch) {
      const { dedup_id, payload } = dispatch;
      const names = [...holdingKeys(dispatch), keys.feedback(dedup_id)];
      await noteRun(names, [dedup_id, payload.dispatch_id]);
    },
    holder,
    async isDelivered(jobId, dedupId) {
      // The job says so itself for as long as there is one. One that an older version has settled does not.
      if ((await redis.hexists(keys.job(jobId), 'delivered')) === 1) return true;
      const held = await holder({ dedup_id: dedupId });
      return held?.id === jobId && held.state === 'delivered';
    },
    countStreams: () => redis.zcard(keys.streams),
  };
}

/** The object that a dispatch is a failure of; undefined where it is none. */
export function failedObject({ class: reasonClass, object_id }: Dispatch): string | undefined {
  return reasonClass === 'failure' ? object_id : undefined;
}
