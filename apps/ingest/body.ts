import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';
import type { Answer } from './answer.ts';

// Flux sends no more than 3 MiB.
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024;

export type ReadBody = { ok: true; body: Buffer } | { ok: false; answer: Answer };

/**
 * Reads the raw body, which is what the signature covers.
 * @param length the Content-Length, if there is one
 * @param limit in bytes; a longer body is not read
 */
export async function readBody(
  request: IncomingMessage,
  length: number | undefined,
  limit: number,
): Promise<ReadBody> {
  try {
    return {
      ok: true,
      body: await getRawBody(request, { limit, ...(length === undefined ? {} : { length }) }),
    };
  } catch (error) {
    const { type, message } = error as Error & { type?: string };
    if (type === 'entity.too.large') {
      discard(request);
      const tooLarge = `the body is over ${limit} bytes: shorten the message, or raise MAX_BODY_BYTES of ingest`;
      return { ok: false, answer: { outcome: 'body_too_large', message: tooLarge } };
    }
    const incomplete = `the body did not arrive completely: ${message}`;
    return {
      ok: false,
      answer: { outcome: 'invalid_payload', message: incomplete, headers: { Connection: 'close' } },
    };
  }
}

/**
 * Drops the rest of a body. Closing the connection while the client is still sending would reset it, and the client
 * would see a broken pipe instead of the answer.
 */
export function discard(request: IncomingMessage): void {
  let left = MAX_DISCARDED_BYTES;
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.destroy();
  });
}
