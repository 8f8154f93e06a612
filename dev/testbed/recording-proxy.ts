import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A request as it went over the wire. */
export interface RecordedRequest {
  /** When it had been read, in epoch milliseconds. */
  readonly at: number;
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A reverse proxy that keeps what passes through it. */
export interface RecordingProxy extends AsyncDisposable {
  readonly url: string;
  /** In the order in which they came. */
  readonly requests: readonly RecordedRequest[];
  /** Sends what comes from now on to another server. */
  forwardTo(url: string): void;
  /** Records what comes from now on, but forwards it only once the returned function has been called. */
  hold(): () => void;
}

/** Starts a proxy in front of `target`. What happens to a connection on one side happens on the other. */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const requests: RecordedRequest[] = [];
  let destination = target;
  let released = Promise.resolve();

  const server = createServer(async (incoming, answer) => {
    const body = await buffer(incoming).catch(() => undefined);
    if (!body) return;
    const { method = '', url: path = '', headers } = incoming;
    requests.push({ at: Date.now(), method, path, headers, body });
    await released;

    // A connection of its own: none that the server closes at the moment it is used again.
    const outgoing = request(new URL(path, destination), { method, headers, agent: false });
    outgoing.on('error', () => answer.destroy());
    answer.on('close', () => outgoing.destroy());
    outgoing.on('response', (response: IncomingMessage) => {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      response.on('error', () => answer.destroy());
      response.pipe(answer);
    });
    outgoing.end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    forwardTo(url) {
      destination = url;
    },
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      released = promise;
      return resolve;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
