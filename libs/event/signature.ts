import { createHmac, timingSafeEqual } from 'node:crypto';

/** The header in which a Flux Provider of type `generic-hmac` signs its body. */
export const SIGNATURE_HEADER = 'x-signature';

const FORMAT = /^sha256=([0-9a-f]{64})$/;

/** Whether a signature has the form that Flux gives it, right or wrong. */
export function isSignature(text: string): boolean {
  return FORMAT.test(text);
}

/** Signs a body as notification-controller does: `sha256=<hex HMAC-SHA256>` under the token's raw bytes. */
export function sign(body: Buffer, token: Buffer): string {
  return `sha256=${createHmac('sha256', token).update(body).digest('hex')}`;
}

/** A secret that bodies are signed with. What else a key carries comes back from `verifySignature`. */
export interface Key {
  /** The token's raw bytes. */
  readonly secret: Buffer;
}

/** The key of `keys` under which `signature` is that of `body`, or undefined. Compares in constant time. */
export function verifySignature<K extends Key>(
  body: Buffer,
  signature: string | undefined,
  keys: readonly K[],
): K | undefined {
  if (signature === undefined || !isSignature(signature)) return undefined;
  const given = Buffer.from(signature);
  let matched: K | undefined;
  // Every key is tried, so that the time taken does not reveal which of them matched.
  for (const key of keys) {
    if (timingSafeEqual(given, Buffer.from(sign(body, key.secret)))) matched ??= key;
  }
  return matched;
}
