import { type IngestAnswer, postEvent } from '@flux-dispatch/testbed/flux';
import { table } from '@flux-dispatch/testbed/table';
import { TimedOut, until } from '@flux-dispatch/testbed/until';
import { type BoardAccess, type DispatchEnd, receiptOf } from './receipts.ts';
import { type ScenarioEvent, scenario } from './scenario.ts';
import { putWorkflows } from './workflows.ts';

const DISPATCHED_WITHIN_MS = 30_000;
const ENDED_WITHIN_MS = 60_000;

export interface ScenarioOptions extends BoardAccess {
  readonly eventsUrl: string;
  readonly token: string;
  /** The stand-in for GitHub, which lists what it received. */
  readonly githubUrl: string;
  readonly interrupted?: AbortSignal;
}

export interface ScenarioResult {
  /** A table of the events and what happened to each, why a dispatch has no run, and a line that sums it up. */
  readonly report: string;
  /** Whether everything happened as the scenario expects. */
  readonly succeeded: boolean;
  /** Whether dispatches were still missing at GitHub, or what came of them, when time was up. */
  readonly timedOut: boolean;
}

/** What the stand-in for GitHub lists of a dispatch. */
interface ListedDispatch {
  readonly owner: string;
  readonly repo: string;
  readonly event_type: string;
  readonly client_payload: { readonly dispatch_id: string; readonly flux: { readonly cluster: string } };
}

/**
 * Sends the events of the scenario, waits for their dispatches at GitHub (30 s at most) and for what came of them (a minute at
 * most), and reports on each event.
 */
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

  await putWorkflows(githubUrl);
  const sent: { event: ScenarioEvent; answer: IngestAnswer }[] = [];
  for (const event of scenario(now, cluster)) {
    sent.push({ event, answer: await postEvent(eventsUrl, event.body, token) });
  }
  const expected = sent.filter(({ event }) => event.expected.run !== undefined).length;
  const ends = new Map<string, DispatchEnd>();
  const haveEnded = async () => {
    for (const { client_payload } of await listDispatches()) {
      const { dispatch_id } = client_payload;
      const end = ends.get(dispatch_id) ?? (await receiptOf(options, dispatch_id));
      if (end) ends.set(dispatch_id, end);
    }
    return ends.size >= expected;
  };
  const timedOut = !(
    (await inTime(
      'GitHub has received the dispatches',
      async () => (await listDispatches()).length >= expected,
      DISPATCHED_WITHIN_MS,
    )) && (await inTime('the workflow runs have ended', haveEnded, ENDED_WITHIN_MS))
  );

  // What the team sees on its Alert when Flux reports a deployment again that no workflow has run for.
  for (const { event, answer } of [...sent]) {
    if (event.expected.run !== 'none' || !ends.has(answer.body.dispatch_id ?? '')) continue;
    const expected = { status: 422, outcome: 'no_run', run: undefined };
    const repeat = {
      title: 'The same, reconciled again: the team sees why on its Alert',
      body: event.body,
      expected,
    };
    sent.push({ event: repeat, answer: await postEvent(eventsUrl, event.body, token) });
  }

  const dispatches = await listDispatches();
  const results = sent.map(({ event, answer }) => compare(event, answer, dispatches, ends));
  const succeeded = results.every(({ asExpected }) => asExpected) && dispatches.length === expected;
  const rows = [
    ['', 'What Flux sent', 'What ingest answered', 'What GitHub received', 'Its workflow run'],
    ...results.map(({ row }) => row),
  ];
  const findings = [...ends.values()].flatMap(({ finding }) => finding ?? []);
  const summary = succeeded
    ? `Everything went as expected: ${sent.length} events, ${dispatches.length} dispatches.`
    : `NOT as expected: GitHub should have received ${expected} dispatches, and received ${dispatches.length}.`;
  const report = [table(rows), ...findings.map(finding => `Why there is no run: ${finding}`), summary].join(
    '\n\n',
  );
  return { report, succeeded, timedOut };
}

/** Whether something is so before the time is up. */
async function inTime(what: string, isSo: () => Promise<boolean>, withinMs: number): Promise<boolean> {
  return until(what, isSo, withinMs).then(
    () => true,
    error => {
      if (error instanceof TimedOut) return false;
      throw error;
    },
  );
}

/** The event's row of the table, and whether ingest and GitHub did what the scenario expects. */
function compare(
  { title, expected }: ScenarioEvent,
  { status, body }: IngestAnswer,
  dispatches: readonly ListedDispatch[],
  ends: ReadonlyMap<string, DispatchEnd>,
) {
  const received =
    body.outcome === 'enqueued'
      ? dispatches.filter(({ client_payload }) => client_payload.dispatch_id === body.dispatch_id)
      : [];
  const runs = received.map(({ client_payload }) => ends.get(client_payload.dispatch_id)?.results.join(', '));
  const asExpected =
    status === expected.status &&
    body.outcome === expected.outcome &&
    runs.length === (expected.run === undefined ? 0 : 1) &&
    runs[0] === expected.run;
  const arrived = received.map(({ owner, repo, event_type }) => `${event_type} → ${owner}/${repo}`);
  const row = [
    asExpected ? '✓' : '✗',
    title,
    `${status} ${body.outcome}`,
    arrived.join(', ') || (expected.run === undefined ? 'nothing' : 'nothing, but a dispatch was expected'),
    runs.map(result => result ?? 'has not ended yet').join(', '),
  ];
  return { row, asExpected };
}
