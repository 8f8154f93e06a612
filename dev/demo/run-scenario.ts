import { type IngestAnswer, postEvent } from '@flux-dispatch/testbed/flux';
import { until } from '@flux-dispatch/testbed/until';
import { type Step, story } from './scenario.ts';
import { table } from './table.ts';

const DISPATCHED_WITHIN_MS = 30_000;

export interface TellingOptions {
  readonly eventsUrl: string;
  readonly token: string;
  /** The stand-in for GitHub, which lists what it received. */
  readonly githubUrl: string;
  readonly interrupted?: AbortSignal;
}

export interface Telling {
  /** A table of the events and what became of each, and a line that sums it up. */
  readonly account: string;
  /** Whether everything went as the story says. */
  readonly good: boolean;
  /** Whether GitHub has not received in time what it should have. */
  readonly overdue: boolean;
}

/** What the stand-in for GitHub lists of a dispatch. */
interface Received {
  readonly owner: string;
  readonly repo: string;
  readonly event_type: string;
  readonly client_payload: { readonly dispatch_id: string; readonly flux: { readonly cluster: string } };
}

/** Sends the events of the story, waits at most 30 s for their dispatches at GitHub, and says what became of each event. */
export async function tellStory(options: TellingOptions): Promise<Telling> {
  const { eventsUrl, token, githubUrl, interrupted } = options;
  const now = new Date();
  // A cluster of its own: told again on the same Redis, it is not the repeat of an earlier telling.
  const cluster = `demo-${now.getTime()}`;
  const received = async () => {
    interrupted?.throwIfAborted();
    const response = await fetch(`${githubUrl}/_stub/dispatches`, interrupted && { signal: interrupted });
    const { dispatches } = (await response.json()) as { dispatches: Received[] };
    return dispatches.filter(({ client_payload }) => client_payload.flux?.cluster === cluster);
  };

  const told: { step: Step; answer: IngestAnswer }[] = [];
  for (const step of story(now, cluster)) {
    told.push({ step, answer: await postEvent(eventsUrl, step.body, token) });
  }
  const wanted = told.filter(({ step }) => step.expected.dispatched).length;
  const enough = async () => (await received()).length >= wanted;
  const overdue = await until('GitHub has received the dispatches', enough, DISPATCHED_WITHIN_MS).then(
    () => false,
    () => true,
  );

  const dispatches = await received();
  const results = told.map(({ step, answer }) => tell(step, answer, dispatches));
  const good = results.every(({ asExpected }) => asExpected) && dispatches.length === wanted;
  const rows = [
    ['', 'What Flux sent', 'What ingest answered', 'What GitHub received'],
    ...results.map(({ row }) => row),
  ];
  const sum = good
    ? `All went as it should: ${told.length} events, ${dispatches.length} dispatches.`
    : `NOT as it should be: ${wanted} dispatches were expected, GitHub received ${dispatches.length}.`;
  return { account: `${table(rows)}\n\n${sum}`, good, overdue };
}

function tell({ title, expected }: Step, { status, body }: IngestAnswer, dispatches: readonly Received[]) {
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
    arrived.join(', ') || (expected.dispatched ? 'nothing, and should have' : 'nothing'),
  ];
  return { row, asExpected };
}
