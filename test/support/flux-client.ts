import { setTimeout as delay, setInterval as every } from 'node:timers/promises';
import { fluxEvent, type IngestAnswer, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import type { Ledger } from './ledger.ts';

/** How much faster than Flux's own the waits between its tries are here, so that the faults take minutes, not hours. */
const SPEED = 4;
const BACKOFF_S = [2, 4, 8, 16];

/** Together these report all deployments, one after another; each so often, unless it has to try again. */
const RECONCILERS = 10;
const INTERVAL_MS = 100;

export interface Flux extends AsyncDisposable {
  /**
   * Deploys so many new artifacts, each of an object of its own, and posts their events at once. Resolves when each is
   * accepted or given up. An event that was given up is gone: what remains is the object's next interval.
   */
  deploy(count: number): Promise<void>;
  /** How many deployments there have been. */
  readonly deployments: number;
}

/**
 * Flux, as ingest sees it: kustomize-controller, which reports each deployment once, and again at every interval for as
 * long as it runs, with a newer time and another message; and notification-controller, which tries an event again after
 * a connection error, a 429 or a 5xx, at most four times, after 2, 4, 8 and 16 s or after `Retry-After`.
 * https://github.com/fluxcd/notification-controller/blob/main/internal/notifier/client.go
 * @param ingests asked before every try for where the replicas are, which are taken in turn as a Service does
 */
export function startFlux(ingests: () => readonly string[], token: string, ledger: Ledger): Flux {
  const deployed: string[] = [];
  let artifacts = 0;
  let posts = 0;
  let stopped = false;

  async function post(deployment: string): Promise<IngestAnswer | undefined> {
    const urls = ingests();
    const body = fluxEvent({
      name: deployment,
      message: `Reconciliation finished in ${++posts}ms, next run in 10m0s`,
      metadata: {
        dispatch_repo: 'Altinn/dialogporten',
        env: 'at23',
        revision: ociRevision('at23', deployment),
      },
    });
    const answer = await postEvent(urls[posts % urls.length] ?? '', body, token).catch(() => undefined);
    ledger.posted(deployment, answer);
    return answer;
  }

  async function notify(deployment: string): Promise<void> {
    for (const backoff of [...BACKOFF_S, undefined]) {
      const answer = await post(deployment);
      const again = !answer || answer.status === 429 || (answer.status >= 500 && answer.status !== 501);
      if (!again || backoff === undefined) return;
      const retryAfter = answer?.headers.get('retry-after');
      await delay(((retryAfter ? Number(retryAfter) : backoff) * 1000) / SPEED);
    }
  }

  let turn = 0;
  const reconcilers = Array.from({ length: RECONCILERS }, async () => {
    for await (const _ of every(INTERVAL_MS)) {
      if (stopped) return;
      const deployment = deployed[turn++ % deployed.length];
      if (deployment !== undefined) await notify(deployment);
    }
  });

  return {
    async deploy(count) {
      const deploy = async () => {
        const deployment = `app-${++artifacts}`;
        await notify(deployment);
        deployed.push(deployment);
      };
      await Promise.all(Array.from({ length: count }, deploy));
    },
    get deployments() {
      return artifacts;
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      await Promise.all(reconcilers);
    },
  };
}
