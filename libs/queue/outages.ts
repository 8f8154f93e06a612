import type { Memory } from './claims.ts';
import type { Dispatch, Outage } from './dispatch.ts';
import { claimKeys } from './keys.ts';
import { defineScript, type ScriptConnection } from './script.ts';

/**
 * The outages of objects towards repositories. The first failure that GitHub gets opens one, and the first success after that
 * ends it. See outages.lua.
 */
export interface Outages {
  /**
   * Begins an attempt at a failure. To be ended by {@link endAttempt}, or by the script that settles the dispatch.
   * @param token of this attempt: one that has another was made by a worker that died, or lost its job to this one
   * @returns its outage; undefined where its object has recovered since, so that it is not to be sent
   */
  beginAttempt(dispatch: Dispatch, token: string): Promise<Outage | undefined>;
  /** Ends an attempt that GitHub has not accepted, as far as is known. */
  endAttempt(dispatch: Dispatch, token: string, ended: EndedAttempt): Promise<void>;
  /** What has become of the outage that this is the recovery from. */
  stateOf(recovery: Dispatch): Promise<OutageState>;
  /**
   * Notes a success, and finds the outage of each object that has ended with it. The objects of one event take one round trip.
   * @param eventTime seconds since the epoch; undefined where it is unknown
   */
  end(
    objectIds: readonly string[],
    eventTime: number | undefined,
    memory: Memory,
  ): Promise<(EndedOutage | undefined)[]>;
}

/** `again`: it is made again later. `doubtful`: that too, and GitHub may have the failure. `never`: the failure is not sent. */
export type EndedAttempt = 'again' | 'doubtful' | 'never';

/** `tried`: an attempt at a failure of it is under way. `gone`: none was ever delivered, or it was long ago. */
export type OutageState = 'tried' | 'confirmed' | 'gone';

export interface EndedOutage {
  readonly outage: Outage;
  /** The time of the success that was reported, in seconds since the epoch. Another may have ended the outage before. */
  readonly endedAt: number;
  /** Whether a failure of it is known to be delivered. Otherwise one is on its way. */
  readonly confirmed: boolean;
}

type EndReply = [id: string, since: number, at: number, confirmed: 0 | 1, firstSuccess: number];

// For what an ingest queued that did not say yet: the defaults of its configuration.
const DEFAULT_MEMORY = { ttl_ms: 30 * 86_400_000, max_entries: 100_000, keep_ms: 2 * 3_600_000 };

export function createOutages(redis: ScriptConnection, prefix: string): Outages {
  const keys = claimKeys(prefix);
  const begin = defineScript<[id: string, since: number] | null>(
    redis,
    'outages.lua',
    'memory.lua',
    'begin-failure.lua',
  );
  const endAttempt = defineScript<null>(redis, 'outages.lua', 'end-attempt.lua');
  const find = defineScript<OutageState>(redis, 'outages.lua', 'find-outage.lua');
  const endOutage = defineScript<EndReply | null>(redis, 'outages.lua', 'memory.lua', 'end-outage.lua');

  return {
    async beginAttempt({ object_id, payload, event_time, outage_memory = DEFAULT_MEMORY }, token) {
      const { ttl_ms, max_entries, keep_ms } = outage_memory;
      const attempt = [object_id, payload.dispatch_id, token, event_time];
      const begun = await begin(
        [keys.outages(object_id), keys.healthy, keys.objects],
        [...attempt, ttl_ms, max_entries, keep_ms, keys.outagesPrefix],
      );
      return begun === null ? undefined : { id: begun[0], since: timestampOf(begun[1]) };
    },
    async endAttempt({ object_id, payload }, token, ended) {
      await endAttempt([keys.outages(object_id)], [payload.dispatch_id, token, ended]);
    },
    stateOf: ({ object_id, payload }) => find([keys.outages(object_id)], [payload.flux.outage?.id ?? '']),
    end(objectIds, eventTime, { DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP }) {
      const values = [eventTime ?? '', DEDUP_TTL, DEDUP_MAX_ENTRIES, DEDUP_KEEP, keys.outagesPrefix];
      const ended = objectIds.map(async (object): Promise<EndedOutage | undefined> => {
        const reply = await endOutage(
          [keys.healthy, keys.objects, keys.outages(object)],
          [object, ...values],
        );
        if (reply === null) return undefined;
        const [id, since, at, confirmed, firstSuccess] = reply;
        const outage = { id, since: timestampOf(since), duration_seconds: firstSuccess - since };
        return { outage, endedAt: at, confirmed: confirmed === 1 };
      });
      return Promise.all(ended);
    },
  };
}

/** Whole seconds since the epoch, as Kubernetes writes them. */
function timestampOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
