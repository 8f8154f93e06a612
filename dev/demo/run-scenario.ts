import { type IngestAnswer, postEvent } from '@flux-dispatch/testbed/flux';
import { table } from '@flux-dispatch/testbed/table';
import { TimedOut, until } from '@flux-dispatch/testbed/until';
import { type ScenarioEvent, scenario } from './scenario.ts';

const DISPATCHED_WITHIN_MS = 30_000;

export interface ScenarioOptions {
  readonly eventsUrl: string;
  readonly token: string;
  /** The stand-in for GitHub, which lists what it received. */
  readonly githubUrl: string;
  readonly interrupted?: AbortSignal;
}

export interface ScenarioResult {
  /** A table of the events and what happened to each, and a line that sums it up. */
  readonly report: string;
  /** Whether everything happened as the scenario expects. */
  readonly succeeded: boolean;
  /** Whether dispatches were still missing at GitHub when time was up. */
  readonly timedOut: boolean;
}

/** What the stand-in for GitHub lists of a dispatch. */
interface ListedDispatch {
  readonly owner: string;
  readonly repo: string;
  readonly event_type: string;
  readonly client_payload: { readonly dispatch_id: string; readonly flux: { readonly cluster: string } };
}

/** Sends the events of the scenario, waits at most 30 s for their dispatches at GitHub, and reports on each event. */
export async function runScenario(options: ScenarioOptions): Promise<ScenarioResult> {
  const { eventsUrl, token, githubUrl, interrupted } = options;
  const now = new Date();
  // A cluster of its own: a second run on the same Redis does not repeat the events of the first.
  const cluster = `demo-${now.getTime()}`;
  const listDispatches = async () => {
    interrupted?.throwIfAborted();
    const response = await fetch(`${githubUrl}/_stub/dispatches`, interrupted && { signal: interrupted });
    const { dispatches } = (await response.json()) as { dispatches: ListedDispatch[] };
    return dispatches.filter(({ client_payload }) => client_payload.flux?.cluster === cluster);
  };

  const sent: { event: ScenarioEvent; answer: IngestAnswer }[] = [];
  for (const event of scenario(now, cluster)) {
    sent.push({ event, answer: await postEvent(eventsUrl, event.body, token) });
  }
  const expected = sent.filter(({ event }) => event.expected.dispatched).length;
  const timedOut = await until(
    'GitHub has received the dispatches',
    async () => (await listDispatches()).length >= expected,
    DISPATCHED_WITHIN_MS,
  ).then(
    () => false,
    error => {
      if (error instanceof TimedOut) return true;
      throw error;
    },
  );

  const dispatches = await listDispatches();
  const results = sent.map(({ event, answer }) => compare(event, answer, dispatches));
  const succeeded = results.every(({ asExpected }) => asExpected) && dispatches.length === expected;
  const rows = [
    ['', 'What Flux sent', 'What ingest answered', 'What GitHub received'],
    ...results.map(({ row }) => row),
  ];
  const summary = succeeded
    ? `Everything went as expected: ${sent.length} events, ${dispatches.length} dispatches.`
    : `NOT as expected: GitHub should have received ${expected} dispatches, and received ${dispatches.length}.`;
  return { report: `${table(rows)}\n\n${summary}`, succeeded, timedOut };
}

/** The event's row of the table, and whether ingest and GitHub did what the scenario expects. */
function compare(
  { title, expected }: ScenarioEvent,
  { status, body }: IngestAnswer,
  dispatches: readonly ListedDispatch[],
) {
  const received =
    body.outcome === 'enqueued'
      ? dispatches.filter(({ client_payload }) => client_payload.dispatch_id === body.dispatch_id)
      : [];
  const asExpected =
    status === expected.status &&
    body.outcome === expected.outcome &&
    received.length === (expected.dispatched ? 1 : 0);
  const arrived = received.map(({ owner, repo, event_type }) => `${event_type} → ${owner}/${repo}`);
  const row = [
    asExpected ? '✓' : '✗',
    title,
    `${status} ${body.outcome}`,
    arrived.join(', ') || (expected.dispatched ? 'nothing, but a dispatch was expected' : 'nothing'),
  ];
  return { row, asExpected };
}
