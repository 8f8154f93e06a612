import type { QueueState } from '@flux-dispatch/queue/queue-state';
import { boundedLabel } from '@flux-dispatch/runtime/metrics';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const MAX_LABEL_VALUES = 1000;
// A reason is one of ingest's configuration, which this process does not have; a corrupt job may hold any text.
const MAX_REASONS = 100;

export type DispatcherMetrics = ReturnType<typeof createDispatcherMetrics>;

/**
 * @param queueStates asked at every scrape
 * @param paceRatio asked at every scrape
 */
export function createDispatcherMetrics(
  registry: Registry,
  queueStates: () => Promise<readonly QueueState[]>,
  paceRatio: () => Promise<number>,
) {
  const registers = [registry];
  const repos = boundedLabel(MAX_LABEL_VALUES, repo => repo.toLowerCase());
  const eventTypes = boundedLabel(MAX_LABEL_VALUES);
  // Bounded as well, or each could be combined with each.
  const pairs = boundedLabel(MAX_LABEL_VALUES, pair => pair.toLowerCase());
  const reasons = boundedLabel(MAX_REASONS);

  const look = shared(() => queueStates().catch(() => []));
  // Emptied only once the new numbers are there: of two scrapes at once, neither may find nothing. While Redis is away
  // there are none, as old ones would be worse.
  new Gauge({
    name: 'flux_dispatch_queue_jobs',
    help: 'Jobs in a queue, by state.',
    labelNames: ['queue', 'state'],
    registers,
    async collect() {
      const states = await look();
      this.reset();
      for (const { queue, jobs } of states) {
        for (const [state, count] of Object.entries(jobs)) this.set({ queue, state }, count);
      }
    },
  });
  new Gauge({
    name: 'flux_dispatch_queue_oldest_waiting_seconds',
    help: 'Age of the dispatch that is next in the queue; 0 for an empty one.',
    labelNames: ['queue'],
    registers,
    async collect() {
      const states = await look();
      this.reset();
      for (const { queue, oldestWaitingSeconds } of states) this.set({ queue }, oldestWaitingSeconds);
    },
  });

  new Gauge({
    name: 'flux_dispatch_pace_ratio',
    help: 'The share of DISPATCH_RATE that is used at present: less than 1 for a while after a secondary rate limit.',
    registers,
    async collect() {
      this.set(await paceRatio().catch(() => Number.NaN));
    },
  });

  const rateLimited = new Counter({
    name: 'flux_dispatch_rate_limited_total',
    help: "Answers that paused the queue for one of GitHub's rate limits.",
    labelNames: ['kind'],
    registers,
  });
  // A counter that is first seen at 1 has no increase: rate() and alerts need its zero.
  for (const kind of ['primary', 'secondary']) rateLimited.inc({ kind }, 0);

  return {
    rateLimited,
    /** The labels of a dispatch, bounded. */
    labels(target: { repo: string; event_type: string }) {
      const repo = repos.label(target.repo);
      const event_type = eventTypes.label(target.event_type);
      if (repo === 'other' || event_type === 'other') return { repo, event_type };
      const pair = `${repo} ${event_type}`;
      pairs.admit(pair);
      return { repo, event_type: pairs.label(pair) === 'other' ? 'other' : event_type };
    },
    /** GitHub has accepted the dispatch: from now on its repository and event type have label values of their own. */
    admit(target: { repo: string; event_type: string }) {
      repos.admit(target.repo);
      eventTypes.admit(target.event_type);
    },
    reasonLabel(reason: string) {
      reasons.admit(reason);
      return reasons.label(reason);
    },
    dispatches: new Counter({
      name: 'flux_dispatch_dispatches_total',
      help: 'Dispatches that GitHub has accepted.',
      labelNames: ['repo', 'event_type', 'reason'],
      registers,
    }),
    dryRunDispatches: new Counter({
      name: 'flux_dispatch_dryrun_dispatches_total',
      help: 'Dispatches that DRY_RUN=true has kept from GitHub.',
      labelNames: ['repo', 'event_type', 'reason'],
      registers,
    }),
    errors: new Counter({
      name: 'flux_dispatch_dispatch_errors_total',
      help: 'Attempts that GitHub did not accept, by HTTP status, timeout, network, auth or internal.',
      labelNames: ['repo', 'event_type', 'error_code'],
      registers,
    }),
    duration: new Histogram({
      name: 'flux_dispatch_dispatch_duration_seconds',
      help: 'Time of one attempt with all its calls to GitHub, by status or error.',
      labelNames: ['code'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
      registers,
    }),
    endToEnd: new Histogram({
      name: 'flux_dispatch_end_to_end_seconds',
      help: 'Time from ingest accepting an event to GitHub accepting its dispatch.',
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600],
      registers,
    }),
    retries: new Counter({
      name: 'flux_dispatch_retries_total',
      help: 'Attempts that will be made again, by the error.',
      labelNames: ['error_code'],
      registers,
    }),
    superseded: new Counter({
      name: 'flux_dispatch_superseded_total',
      help: 'Failures that were not sent because the object has recovered since, and recoveries of outages that GitHub never heard of.',
      registers,
    }),
    deadLetters: new Counter({
      name: 'flux_dispatch_dead_letters_total',
      help: 'Dispatches that were given up, by the error.',
      labelNames: ['repo', 'event_type', 'error_code'],
      registers,
    }),
    runs: new Counter({
      name: 'flux_dispatch_runs_total',
      help: 'Workflow runs that came of dispatches, by how they ended; none: a dispatch without a run.',
      labelNames: ['repo', 'event_type', 'result'],
      registers,
    }),
    runStart: new Histogram({
      name: 'flux_dispatch_run_start_seconds',
      help: 'Time from GitHub accepting a dispatch to its workflow run being created.',
      buckets: [1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800],
      registers,
    }),
    authErrors: new Counter({
      name: 'flux_dispatch_github_auth_errors_total',
      help: 'Attempts that failed for the credentials of the GitHub App.',
      registers,
    }),
  };
}

/** @param openReceipts asked at every scrape; undefined where no runs are looked for, and then there is no number */
export function registerOpenReceipts(
  registry: Registry,
  openReceipts: () => Promise<number | undefined>,
): void {
  new Gauge({
    name: 'flux_dispatch_receipts_open',
    help: 'Delivered dispatches whose workflow runs are still looked for or followed.',
    registers: [registry],
    async collect() {
      const open = await openReceipts().catch(() => Number.NaN);
      if (open === undefined) this.remove();
      else this.set(open);
    },
  });
}

/** Lets those who ask while an answer is under way have that one. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}
