import { createHash } from 'node:crypto';
import type { Logger } from '@flux-dispatch/runtime/log';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Dispatch } from './dispatch.ts';
import { DEAD_LETTER_QUEUE } from './keys.ts';
import { repeat } from './patience.ts';
import { defineScript } from './script.ts';
import { TolerantQueue } from './tolerant.ts';

/**
 * What an operator finds of a dispatch that could not be delivered. What to do comes first.
 *
 * Entries live for two weeks and outlive updates, so no field is required: one that an entry of another version lacks gets
 * a default here. Give every new field a default as well.
 */
export const deadLetterSchema = z.object({
  hint: z.string().catch('Retry it, or remove it.'),
  error: z
    .object({
      /** An HTTP status, `timeout`, `network`, `auth` or `internal`. */
      code: z.string(),
      message: z.string(),
    })
    .catch({ code: 'internal', message: 'The entry does not say why' }),
  /** How many attempts were made, the last time that it was tried. */
  attempts: z.number().int().catch(1),
  /** How often it has died: once, and once more after every redrive that failed. */
  deaths: z.number().int().catch(1),
  /** Empty: unknown. */
  first_died_at: z.iso.datetime().or(z.literal('')).catch(''),
  last_died_at: z.iso.datetime().or(z.literal('')).catch(''),
  /** The id of the dispatch and of its job. Empty: unknown. */
  dispatch_id: z.string().catch(''),
  /** The id of its claim. A job that is no dispatch may have none. */
  dedup_id: z.string().optional().catch(undefined),
  /** When the job that died was queued, in milliseconds since the epoch: tells its runs apart. 0: unknown. */
  run: z.number().catch(0),
  /** The whole dispatch; where a job was none, whatever it held. */
  dispatch: z.unknown(),
});

export type DeadLetter = z.infer<typeof deadLetterSchema>;

/** A dispatch that could not be delivered, and how often it had died before it was redriven. */
export interface Death extends Omit<DeadLetter, 'deaths' | 'first_died_at' | 'last_died_at'> {
  readonly before: Dispatch['died'];
}

export interface DeadLetters {
  readonly queue: Queue<DeadLetter>;
  /**
   * Writes the entry of a death, or updates the one that its dedup id has. Returns once the entry is certain to exist, and
   * whether this call wrote it. Doing it again after a crash changes nothing.
   * @throws {GaveUpWaiting} when the entry is being parked or redriven for more than 30 s
   */
  bury(name: string, death: Death, now: number): Promise<{ written: boolean }>;
  /** Why, where this death has its entry already: the reason in one line. */
  reasonOf(death: Pick<Death, 'dispatch_id' | 'dedup_id' | 'run'>): Promise<string | undefined>;
  /**
   * Removes the entry of a dispatch, if it has one. That of another with the same dedup id stays. Waits for an entry that
   * is being parked or redriven.
   * @throws {GaveUpWaiting} when that takes more than 30 s
   */
  removeOwn(dispatch: Dispatch): Promise<void>;
  /** The same, and also for the entry of an older dispatch with the same dedup id. That of a newer one stays. */
  removeOwnAndOlder(dispatch: Dispatch): Promise<void>;
}

// How long to wait before looking again at an entry that is being parked or redriven.
const BUSY_MS = 50;

/** An entry as it is in Redis. */
interface Found {
  /** Of its data, by which a script tells whether it has changed since. Empty where it has none. */
  readonly sha1: string;
  /** undefined where the data cannot be read as a dead letter. */
  readonly entry: DeadLetter | undefined;
}

/** The dead letters: a queue whose failed jobs are the entries, one for each dedup id. */
export function openDeadLetters(redis: Redis, prefix: string, log: Logger): DeadLetters {
  const queue = new TolerantQueue<DeadLetter>(DEAD_LETTER_QUEUE, { connection: redis, prefix });
  queue.on('error', err => log.debug({ err }, 'Dead-letter queue'));

  const updateParked = defineScript<'updated' | 'changed' | 'busy'>(redis, 'parked.lua', 'update-parked.lua');
  const removeParked = defineScript<'gone' | 'changed' | 'busy'>(redis, 'parked.lua', 'remove-parked.lua');
  const lists = ['wait', 'active', 'delayed'].map(list => queue.toKey(list));
  const keysOf = (id: string) => [queue.toKey('failed'), queue.toKey(id), ...lists];

  async function read(id: string): Promise<Found> {
    const data = await redis.hgetBuffer(queue.toKey(id), 'data');
    if (data === null) return { sha1: '', entry: undefined };
    return {
      sha1: createHash('sha1').update(data).digest('hex'),
      entry: readDeadLetter(parseJson(data.toString())),
    };
  }

  /** @param olderThan also the entry of a dispatch that was accepted before that, in milliseconds since the epoch */
  async function remove({ dedup_id, payload }: Dispatch, olderThan: number): Promise<void> {
    const { dispatch_id } = payload;
    let sha1 = '';
    const removed = async () => (await removeParked(keysOf(dedup_id), [dedup_id, sha1])) === 'gone';
    const step = async () => {
      if (await removed()) return true;
      const found = await read(dedup_id);
      const accepted = acceptedAt(found.entry);
      const isMeant = found.entry?.dispatch_id === dispatch_id || (accepted > 0 && accepted < olderThan);
      if (!isMeant) return true;
      // Where nothing has changed since the first try, the entry is busy. Otherwise try with what was read.
      if (found.sha1 === sha1) return undefined;
      sha1 = found.sha1;
      return (await removed()) || undefined;
    };
    const about = { dispatch_id, dedup_id };
    await repeat(step, {
      for: 'its dead letter, which is being parked or redriven',
      everyMs: BUSY_MS,
      log,
      about,
    });
  }

  return {
    queue,
    async reasonOf(death) {
      const { entry } = await read(entryId(death));
      return entry && isOf(entry, death) ? deathReason(entry) : undefined;
    },
    async bury(name, { before, ...death }, now) {
      const id = entryId(death);
      const died = new Date(now).toISOString();
      const after = (entry: DeadLetter | undefined) => ({
        ...death,
        deaths: (entry?.deaths ?? before?.times ?? 0) + 1,
        first_died_at: entry?.first_died_at || before?.first_at || died,
        last_died_at: died,
      });
      let written = false;
      const step = async () => {
        let found = await read(id);
        if (isOf(found.entry, death)) return { written };
        if (found.sha1 === '') {
          await queue.add(name, after(undefined), { jobId: id, attempts: 1, removeOnComplete: true });
          written = true;
          // If the id has come to exist meanwhile, the add did nothing and says nothing.
          found = await read(id);
          if (isOf(found.entry, death)) return { written };
        }
        // The death of a newer dispatch is left to stand for that of an older one.
        if (acceptedAt(found.entry) > acceptedAt(death)) return { written: true };
        const updated = after(found.entry);
        const values = [id, found.sha1, JSON.stringify(updated), deathReason(updated), now];
        return (await updateParked(keysOf(id), values)) === 'updated' ? { written: true } : undefined;
      };
      const about = { dispatch_id: death.dispatch_id, dedup_id: death.dedup_id };
      return repeat(step, {
        for: 'an older dead letter, which is being parked or redriven',
        everyMs: BUSY_MS,
        log,
        about,
      });
    },
    removeOwn: dispatch => remove(dispatch, 0),
    removeOwnAndOlder: dispatch => remove(dispatch, dispatch.accepted_at),
  };
}

/** Reads the data of an entry, of whichever version; undefined where it is not even an object. */
export function readDeadLetter(data: unknown): DeadLetter | undefined {
  return deadLetterSchema.safeParse(data).data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isOf(
  entry: DeadLetter | undefined,
  { dispatch_id, run }: Pick<Death, 'dispatch_id' | 'run'>,
): boolean {
  return entry?.dispatch_id === dispatch_id && entry.run === run;
}

/** One entry for each dedup id. */
function entryId({ dedup_id, dispatch_id }: Pick<Death, 'dispatch_id' | 'dedup_id'>): string {
  return dedup_id ?? `job-${dispatch_id}`;
}

/** When the dispatch of an entry was accepted; 0 for a job that is none. */
function acceptedAt(entry: Pick<DeadLetter, 'dispatch'> | undefined): number {
  const { accepted_at } = (entry?.dispatch ?? {}) as Partial<Dispatch>;
  return typeof accepted_at === 'number' ? accepted_at : 0;
}

/** Why an entry is there, in one line. */
export function deathReason({ error, hint }: Pick<Death, 'error' | 'hint'>): string {
  return `${error.message}. ${hint}`;
}
