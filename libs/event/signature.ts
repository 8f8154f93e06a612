import { createHmac, timingSafeEqual } from 'node:crypto';

/** The header in which a Flux Provider of type `generic-hmac` signs its body. */
export const SIGNATURE_HEADER = 'x-signature';

const FORMAT = /^sha256=([0-9a-f]{64})$/;

/** Signs a body as notification-controller does: `sha256=<hex HMAC-SHA256>` under the token's raw bytes. */
export function sign(body: Buffer, token: Buffer): string {
  return `sha256=${createHmac('sha256', token).update(body).digest('hex')}`;
}

/** Whether `signature` is that of `body` under any of `tokens`. Compares in constant time. */
export function verifySignature(
  body: Buffer,
  signature: string | undefined,
  tokens: readonly Buffer[],
): boolean {
  if (signature === undefined || !FORMAT.test(signature)) return false;
  const given = Buffer.from(signature);
  let valid = false;
  // Every token is tried, so that the time taken does not tell which of them matched.
  for (const token of tokens) {
    if (timingSafeEqual(given, Buffer.from(sign(body, token)))) valid = true;
  }
  return valid;
}
