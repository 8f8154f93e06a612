import type { Admission, Holder } from '@flux-dispatch/queue/claims';
import type { DeadLetter } from '@flux-dispatch/queue/dead-letter';
import type { Answer } from './schedule.ts';

/** What Flux sends events of: success A or B or failure F or G of an object, or a success for the Alert of recoveries. */
export const EVENTS = ['A', 'B', 'F', 'R', 'G'] as const;
export type EventName = (typeof EVENTS)[number];

/** What is dispatched: each event but a success for the Alert of recoveries is one deployment, and so is each recovery. */
export type Deployment = Exclude<EventName, 'R'> | `recovery from ${string}`;

const SUCCESS = { stream_id: '1'.repeat(64), class: 'success', event_type: 'flux-deploy' } as const;
const FAILURE = { stream_id: '2'.repeat(64), class: 'failure', event_type: 'flux-deploy-failed' } as const;
export const DEPLOYMENTS = {
  A: { dedup_id: 'a'.repeat(64), ...SUCCESS },
  B: { dedup_id: 'b'.repeat(64), ...SUCCESS },
  F: { dedup_id: 'f'.repeat(64), ...FAILURE },
  G: { dedup_id: 'e'.repeat(64), ...FAILURE },
} as const;

/** What Redis knows a deployment by. */
export interface DeploymentIds {
  readonly dedup_id: string;
  readonly stream_id: string;
}

/** A dispatch that was queued, and what has become of it. */
export interface DispatchRecord {
  readonly id: string;
  readonly deployment: Deployment;
  readonly acceptedAt: number;
  /** Dispatches of a deployment have the same, unless something else was dispatched in between. */
  run: number;
  /** In which run it was, each time that GitHub has accepted it. */
  readonly delivered: number[];
  deliveredAt: number;
  /** When GitHub has refused it for good, the last time. 0: never. */
  diedAt: number;
  /** From when on its entry stands for that. */
  buriedAt: number;
  superseded: boolean;
  /** An operator has removed its entry. */
  removed: boolean;
}

/** What an interruption affects. */
interface Affected {
  readonly deployment: Deployment | undefined;
}

/** The reference that Redis is compared with: what has become of all dispatches, and what may be in Redis after that. */
export function createModel() {
  /** In the order in which they were queued. */
  const records: DispatchRecord[] = [];
  const known = new Map<Deployment, DeploymentIds>(
    Object.entries(DEPLOYMENTS) as [Deployment, DeploymentIds][],
  );
  const runs = counts(0);
  /** The run of the newest event that admit.lua has let through. */
  const admitted = counts(0);
  /** The run in which the claim was last seen as that of a delivered dispatch. */
  const settled = counts(-1);
  /** How often something broke that had hold of a deployment: so often may a dispatch of it be repeated. */
  const faults = counts(0);
  /** Deployments for which a slow process went on with what another had taken up. */
  const overtaken = new Set<Deployment>();
  let newestSuccess = 0;
  let expired = false;
  const find = (id: string | undefined) => records.find(record => record.id === id);

  return {
    find,
    /** The deployments that there are so far, by name. */
    known: known as ReadonlyMap<Deployment, DeploymentIds>,
    /** There is a recovery to be dispatched. */
    knows(name: Deployment, ids: DeploymentIds) {
      known.set(name, ids);
    },
    broke({ deployment }: Affected) {
      if (deployment) faults.add(deployment);
    },
    /** None of its dispatches is left because an operator has removed the last, or none was queued. */
    isGivenUp: (name: Deployment) => {
      const own = records.filter(({ deployment }) => deployment === name);
      return own.length === 0 || own.at(-1)?.removed === true;
    },
    hasBroken: (name: Deployment) => faults.of(name) > 0,
    overtaken({ deployment }: Affected) {
      if (deployment) overtaken.add(deployment);
    },
    /** The claims of what was delivered have run out. */
    expired() {
      expired = true;
    },
    /** A success was noted, new or not. It re-arms the failures. @param at seconds since the epoch */
    succeeded(at: number) {
      newestSuccess = Math.max(newestSuccess, at);
      runs.add('F');
      runs.add('G');
    },
    admitted(name: Deployment, admission: Admission) {
      if (admission.kind !== 'add') return;
      // A failure from before the newest success is of the run before it, or superseded.
      if ((name === 'F' || name === 'G') && admission.eventTime < newestSuccess) return;
      // A success that is new re-arms the other one.
      if (name === 'A') runs.add('B');
      if (name === 'B') runs.add('A');
      admitted.set(name, runs.of(name));
    },
    queued(id: string, deployment: Deployment, acceptedAt: number) {
      records.push({
        ...{ id, deployment, acceptedAt, run: admitted.of(deployment), delivered: [], deliveredAt: 0 },
        ...{ diedAt: 0, buriedAt: Number.POSITIVE_INFINITY, superseded: false, removed: false },
      });
    },
    /** Whoever holds the claim is of the newest run: admit.lua ends the claim of an older one. */
    held(deployment: Deployment, holder: Holder | undefined) {
      const record = find(holder?.id);
      if (record) record.run = admitted.of(deployment);
      if (record && holder?.state === 'delivered') settled.set(deployment, record.run);
    },
    answered(id: string, answer: Answer, now: number) {
      const record = find(id);
      if (!record || answer === 503) return;
      if (answer === 204) {
        record.delivered.push(record.run);
        record.deliveredAt = now;
      } else {
        record.diedAt = now;
        record.buriedAt = Number.POSITIVE_INFINITY;
      }
    },
    ended(id: string, outcome: string, now: number) {
      const record = find(id);
      if (record && outcome === 'superseded') record.superseded = true;
      if (record && outcome === 'dead') record.buriedAt = now;
    },

    /** A claim without expiry has its job and a job its claim, and a delivered dispatch is remembered. */
    wrongClaim(name: Deployment, { holder, remembered }: Held, jobs: readonly Pending[]): string[] {
      const wrong: string[] = [];
      if (holder?.state === 'pending' && !jobs.some(({ id }) => id === holder.id)) {
        wrong.push(`The claim of ${name} is held for ever by ${holder.id}, which has no job`);
      }
      if (settled.of(name) === admitted.of(name) && !find(remembered)?.delivered.length) {
        const claim = holder?.state ?? 'free';
        // Once something else was deployed, or the object has recovered, its claim alone may know of it.
        if (runs.of(name) === admitted.of(name)) {
          wrong.push(`${name} was delivered, and its stream has forgotten it (its claim: ${claim})`);
        } else if (holder?.state !== 'delivered' && !expired) {
          wrong.push(`${name} was delivered, and its claim has ended (${claim})`);
        }
      }
      for (const { id, timestamp, superseded, delivered } of jobs) {
        const record = find(id);
        // It only has to end.
        if (delivered && expired) continue;
        // Another dispatch has the claim by now, or none is needed: it died or is superseded, and only has to end.
        const admittedAgain = admitted.of(name) > (record?.run ?? 0);
        if (admittedAgain || superseded || (record && record.diedAt > timestamp)) continue;
        if (holder?.id !== id) wrong.push(`${id} is pending without its claim (${holder?.id ?? 'free'})`);
        else if (holder?.state === 'dead') wrong.push(`${id} is pending, and its claim will run out`);
      }
      return wrong;
    },

    /** What was accepted has ended in a known way, and nothing is dispatched twice. */
    wrongDispatches(entries: readonly DeadLetter[]): string[] {
      const wrong: string[] = [];
      const hasEntry = ({ id }: DispatchRecord) => entries.some(({ dispatch_id }) => dispatch_id === id);
      const kept = (record: DispatchRecord) =>
        record.delivered.length > 0 || record.superseded || record.removed || hasEntry(record);

      for (const [index, record] of records.entries()) {
        const { id, deployment, acceptedAt, run, diedAt, buriedAt } = record;
        const same = records.filter(each => each.deployment === deployment);
        const since = same.filter(each => each.acceptedAt >= acceptedAt && each.deliveredAt > buriedAt);
        if (since.length > 0 && hasEntry(record) && !overtaken.has(deployment)) {
          wrong.push(`${id} has an entry, although ${since.map(each => each.id)} was delivered since`);
        }
        // By whichever order: of those that are under way at the same time, one may overtake the other.
        const newer = same.filter(
          each => each.acceptedAt > acceptedAt || records.indexOf(each) > index || each.run > run,
        );
        // Once it has died, one that is newer may stand for it.
        if (!kept(record) && !(diedAt > 0 && newer.some(kept))) wrong.push(`${id} is lost`);
      }
      for (const [name, ids] of known) {
        if (entries.filter(({ dedup_id }) => dedup_id === ids.dedup_id).length > 1) {
          wrong.push(`${name} has more than one entry`);
        }
        const delivered = records
          .filter(record => record.deployment === name)
          .flatMap(record => record.delivered);
        const repeats = delivered.length - new Set(delivered).size;
        if (repeats > faults.of(name))
          wrong.push(`${name} was dispatched ${repeats} times more after ${faults.of(name)} faults`);
      }
      return wrong;
    },
  };
}

/** A number for each deployment. */
function counts(first: number) {
  const numbers = new Map<Deployment, number>();
  const of = (name: Deployment) => numbers.get(name) ?? first;
  return {
    of,
    set: (name: Deployment, value: number) => void numbers.set(name, value),
    add: (name: Deployment) => void numbers.set(name, of(name) + 1),
  };
}

/** What Redis knows about a deployment. */
interface Held {
  readonly holder: Holder | undefined;
  /** The dispatch that its stream remembers as delivered. */
  readonly remembered: string | undefined;
}

/** A job that was not given up yet. */
export interface Pending {
  readonly id: string | undefined;
  readonly timestamp: number;
  readonly superseded: boolean;
  readonly delivered: boolean;
}
