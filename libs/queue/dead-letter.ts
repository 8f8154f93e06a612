import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@flux-dispatch/runtime/log';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { Dispatch } from './dispatch.ts';
import { DEAD_LETTER_QUEUE } from './keys.ts';
import { defineScript } from './script.ts';

/** What an operator finds of a dispatch that could not be delivered. What to do comes first. */
export const deadLetterSchema = z.object({
  hint: z.string(),
  error: z.object({
    /** An HTTP status, `timeout`, `network`, `auth` or `internal`. */
    code: z.string(),
    message: z.string(),
  }),
  /** How many attempts were made, the last time that it was tried. */
  attempts: z.number().int(),
  /** How often it has died: once, and once more after every redrive that failed. */
  deaths: z.number().int(),
  first_died_at: z.iso.datetime(),
  last_died_at: z.iso.datetime(),
  /** The id of the dispatch and of its job. */
  dispatch_id: z.string(),
  /** The id of its claim. A job that is no dispatch may have none. */
  dedup_id: z.string().optional(),
  /** When the job that died was queued, in milliseconds since the epoch: tells its runs apart. */
  run: z.number(),
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
   */
  bury(name: string, death: Death, now: number): Promise<{ written: boolean }>;
  /** Whether this death has its entry already. */
  isBuried(death: Pick<Death, 'dispatch_id' | 'dedup_id' | 'run'>): Promise<boolean>;
  /**
   * Removes the entry of a dispatch, if it has one. That of another with the same dedup id stays. Waits for an entry that
   * is being parked or redriven.
   */
  removeOwn(dispatch: Dispatch): Promise<void>;
  /** The same, and also for the entry of an older dispatch with the same dedup id. That of a newer one stays. */
  removeOwnAndOlder(dispatch: Dispatch): Promise<void>;
}

// How long to wait before looking again at an entry that is being parked or redriven.
const BUSY_MS = 50;

/** The dead letters: a queue whose failed jobs are the entries, one for each dedup id. */
export function openDeadLetters(redis: Redis, prefix: string, log: Logger): DeadLetters {
  const queue = new Queue<DeadLetter>(DEAD_LETTER_QUEUE, { connection: redis, prefix });
  queue.on('error', err => log.debug({ err }, 'Dead-letter queue'));

  const updateParked = defineScript<'updated' | 'newer' | 'busy'>(redis, 'update-parked.lua');
  const removeParked = defineScript<'gone' | 'busy'>(redis, 'remove-parked.lua');
  const keysOf = (id: string) => [queue.toKey('failed'), queue.toKey(id)];

  async function isBuried(death: Parameters<DeadLetters['isBuried']>[0]): Promise<boolean> {
    const entry = (await queue.getJob(entryId(death)))?.data;
    return entry?.dispatch_id === death.dispatch_id && entry.run === death.run;
  }

  /** @param olderThan also the entry of a dispatch that was accepted before that, in milliseconds since the epoch */
  async function remove({ dedup_id, payload }: Dispatch, olderThan: number): Promise<void> {
    const values = [dedup_id, payload.dispatch_id, olderThan];
    while ((await removeParked(keysOf(dedup_id), values)) === 'busy') await delay(BUSY_MS);
  }

  return {
    queue,
    isBuried,
    async bury(name, { before, ...death }, now) {
      const id = entryId(death);
      const died = new Date(now).toISOString();
      for (let written = false; ; written = true) {
        if (await isBuried(death)) return { written };
        const entry = (await queue.getJob(id))?.data;
        const updated = {
          ...death,
          deaths: (entry?.deaths ?? before?.times ?? 0) + 1,
          first_died_at: entry?.first_died_at ?? before?.first_at ?? died,
          last_died_at: died,
        };
        // Looked for again afterwards: an add is silently nothing when the id has come to exist by then.
        if (!entry) {
          await queue.add(name, updated, { jobId: id, attempts: 1, removeOnComplete: true });
          continue;
        }
        const values = [id, JSON.stringify(updated), deathReason(updated), now, acceptedAt(updated)];
        const outcome = await updateParked(keysOf(id), values);
        if (outcome === 'newer') return { written: true };
        if (outcome === 'busy') await delay(BUSY_MS);
      }
    },
    removeOwn: dispatch => remove(dispatch, 0),
    removeOwnAndOlder: dispatch => remove(dispatch, dispatch.accepted_at),
  };
}

/** One entry for each dedup id. */
function entryId({ dedup_id, dispatch_id }: Pick<Death, 'dispatch_id' | 'dedup_id'>): string {
  return dedup_id ?? `job-${dispatch_id}`;
}

/** When the dispatch of an entry was accepted; 0 for a job that is none. */
function acceptedAt({ dispatch }: DeadLetter): number {
  const { accepted_at } = (dispatch ?? {}) as Partial<Dispatch>;
  return typeof accepted_at === 'number' ? accepted_at : 0;
}

/** Why an entry is there, in one line. */
export function deathReason({ error, hint }: Pick<Death, 'error' | 'hint'>): string {
  return `${error.message}. ${hint}`;
}
