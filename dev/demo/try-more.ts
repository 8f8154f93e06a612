import { sign } from '@flux-dispatch/event/signature';
import { fluxEvent } from '@flux-dispatch/testbed/flux';
import { ALERT, artifact } from './scenario.ts';

/** Something that the reader can try on the running demo. */
export interface TryMoreStep {
  readonly title: string;
  /** Complete commands for a POSIX shell, one a line, to run in this order. */
  readonly commands: readonly string[];
}

export interface TryMoreOptions {
  readonly eventsUrl: string;
  readonly token: string;
  readonly githubUrl: string;
  readonly boardUrl: string;
}

/** The steps to try, each with an event of its own, so that none is a repeat of another's. */
export function tryMore(options: TryMoreOptions, now: Date): readonly TryMoreStep[] {
  const { githubUrl, boardUrl } = options;
  const revisions = artifact(`try-more-${now.getTime()}`);
  const [deploy, delayed] = ['try-more-deploy', 'try-more-delayed'].map(name =>
    postCommand(options, fluxEvent({ name, timestamp: now, metadata: { ...ALERT, ...revisions } })),
  ) as [string, string];
  const failed = postCommand(
    options,
    fluxEvent({
      name: 'try-more-failed',
      timestamp: now,
      severity: 'error',
      reason: 'BuildFailed',
      message: "kustomize build failed: accumulating resources from 'deploy.yaml': <nil>",
      metadata: { ...ALERT, ...revisions, dispatch_event: 'flux-deploy-failed' },
    }),
  );
  const answerDispatchesWith = (status: number) => {
    const faults = [{ match: { method: 'POST', path: '/repos/' }, action: { status } }];
    const body = quoted(JSON.stringify(faults));
    return `curl -i -X PUT ${githubUrl}/_stub/faults -H 'Content-Type: application/json' -d ${body}`;
  };
  const endFaults = `curl -i -X DELETE ${githubUrl}/_stub/faults`;
  return [
    {
      title: 'Send one more deploy. The answer is 202; the second time it is 200, a duplicate:',
      commands: [deploy],
    },
    {
      title:
        'See a retry. GitHub starts to answer dispatches with 503; ingest accepts another deploy (202), and dispatcher tries\n' +
        'after 1 s, 2 s, 4 s … again. Once GitHub recovers, the dispatch arrives:',
      commands: [answerDispatchesWith(503), delayed, endFaults],
    },
    {
      title:
        'See a dead letter. With 404, the dispatch of a failed build is not retried: the board lists it under Dead letters.\n' +
        'Once GitHub recovers, press Retry there, or run the last command, which retries all dead letters:',
      commands: [
        answerDispatchesWith(404),
        failed,
        endFaults,
        `curl -i -X PUT ${boardUrl}/api/queues/dispatch-dead-letter/retry/failed`,
      ],
    },
  ];
}

function postCommand({ eventsUrl, token }: TryMoreOptions, body: Buffer): string {
  const headers = `-H 'Content-Type: application/json' -H 'X-Signature: ${sign(body, Buffer.from(token))}'`;
  return `curl -i ${eventsUrl} ${headers} -d ${quoted(body.toString())}`;
}

/** A word that a POSIX shell takes literally. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
