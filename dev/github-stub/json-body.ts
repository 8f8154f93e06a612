import type { IncomingMessage } from 'node:http';
import getRawBody from 'raw-body';

/** A request's body; `value` is undefined where there is none. */
export type JsonBody =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'too-large' };

const MAX_BYTES = 10 * 1024 * 1024;

/** Reads a body of at most 10 MB as JSON, whatever its content type says. Throws where the client breaks off. */
export async function readJson(request: IncomingMessage): Promise<JsonBody> {
  let text: string;
  try {
    text = await getRawBody(request, { limit: MAX_BYTES, encoding: 'utf8' });
  } catch (error) {
    if ((error as { type?: string }).type !== 'entity.too.large') throw error;
    // raw-body stops reading; what is left would stand before the next request on the connection.
    request.resume();
    return { kind: 'too-large' };
  }
  try {
    return { kind: 'json', value: text.trim() === '' ? undefined : JSON.parse(text) };
  } catch {
    return { kind: 'malformed' };
  }
}
