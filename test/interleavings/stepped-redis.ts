import { AsyncLocalStorage } from 'node:async_hooks';
import { type Command, Redis } from 'ioredis';
import type { Deployment } from './model.ts';

export const QUEUES = ['dispatch', 'deadLetter'] as const;
export type QueueName = (typeof QUEUES)[number];

/** What one process does about one event, one dispatch or one entry. */
export interface Work {
  readonly of: 'event' | QueueName;
  /** What it is about to do, in this order. */
  readonly requests: Request[];
  deployment: Deployment | undefined;
  job: string | undefined;
  /** It waits for a time to pass, and is about to do nothing until then. */
  asleep: boolean;
  ended: boolean;
  /** Its process is gone. */
  killed: boolean;
  /** Its job was given to another. */
  overtaken: boolean;
  /** Called when there is something that it is about to do. */
  onRequest: () => void;
}

/** A command to Redis or a call to GitHub. */
export interface Request {
  go(): Promise<void>;
  refuse(): void;
  /** Carries it out, and loses the answer. */
  lose(): Promise<'sent again' | 'given up'>;
}

// None of the errors that the processor waits for the end of, which would take its time.
export const REFUSAL = 'BUSY Redis is busy running a script';

export const underWay = new AsyncLocalStorage<Work>();

export function ask(work: Work, request: Request): void {
  if (work.killed) return;
  work.requests.push(request);
  work.onRequest();
}

/** A connection to the real Redis, on which the commands of a `Work` wait until they may go. */
export class SteppedRedis extends Redis {
  override sendCommand(...[command, stream]: Parameters<Redis['sendCommand']>): unknown {
    const work = underWay.getStore();
    if (!work) return super.sendCommand(command, stream);
    // Not to the stream of a pipeline, which waits until it has all of its commands.
    const send = async (each: Command) => {
      super.sendCommand(each);
      await each.promise.catch(() => undefined);
    };
    ask(work, {
      go: () => send(command),
      refuse: () => command.reject(new Error(REFUSAL)),
      async lose() {
        // Of its own class, which knows whether to send a script or its sum.
        const Twin = command.constructor as typeof Command;
        await send(new Twin(command.name, [...command.args]));
        return 'sent again';
      },
    });
    return command.promise;
  }
}
