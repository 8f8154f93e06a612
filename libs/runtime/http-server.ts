import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Address } from './variable.ts';

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

// Long enough for a large body over a slow link, short enough that idle senders do not pile up.
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Listens on `address`. A request that is not complete within 10 s is cut off.
 * Disposing stops accepting connections and waits for the requests under way to be answered.
 * @throws with `code` EADDRINUSE or EACCES where the address cannot be had.
 */
export async function listen(address: Address, listener: RequestListener): Promise<HttpServer> {
  let closing = false;
  const server: Server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      // A kept-alive connection would otherwise bring the next request to a server that is going away.
      if (closing) response.setHeader('Connection', 'close');
      // Nor is the one that the last answer went out on worth waiting for: the client may keep it for seconds.
      response.once('finish', () => closing && server.closeIdleConnections());
      listener(request, response);
    },
  );
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // Cut off without a word: a client that stalls may send it again, but not after a 4xx.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' || !socket.writable) return void socket.destroy();
    const body = JSON.stringify({ outcome: 'invalid_request', message: 'this is no HTTP request' });
    const head = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n';
    socket.end(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
  });
  server.listen(address.port, address.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      closing = true;
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}
