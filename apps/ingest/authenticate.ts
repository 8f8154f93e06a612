import { isSignature, type Key, verifySignature } from '@flux-dispatch/event/signature';
import type { Sender } from '@flux-dispatch/routing/decide';

/** A token of ingest, with what its holder may report. */
interface SenderKey extends Key {
  readonly sender: Sender;
}

// A token may report events of every namespace. So may anyone who reaches ingest, where it takes unsigned events.
const UNRESTRICTED: Sender = { scope: 'all' };

/**
 * Who sent a body, by the token that signed it; undefined where the signature is missing or wrong. With
 * `ALLOW_UNSIGNED` a signature is checked only where there is one, and a token to check it with.
 */
export function authenticate(
  body: Buffer,
  signature: string,
  tokens: readonly Buffer[],
  { ALLOW_UNSIGNED }: { readonly ALLOW_UNSIGNED: boolean },
): Sender | undefined {
  if (ALLOW_UNSIGNED && (signature === '' || tokens.length === 0)) return UNRESTRICTED;
  const keys = tokens.map((secret): SenderKey => ({ secret, sender: UNRESTRICTED }));
  return verifySignature(body, signature, keys)?.sender;
}

/** Whether no body whatever could make up for the signature, so that none needs to be read. */
export function cannotBeValid(
  signature: string,
  { ALLOW_UNSIGNED }: { readonly ALLOW_UNSIGNED: boolean },
): boolean {
  return !ALLOW_UNSIGNED && !isSignature(signature);
}

/** What is wrong with a signature that authenticates no one, in one line for the product team. */
export function signatureFault(signature: string): string {
  if (signature === '') {
    return 'the X-Signature header is missing: the Provider must be of type generic-hmac, with a token in its Secret';
  }
  return !isSignature(signature)
    ? 'the X-Signature header must be sha256= and 64 lower-case hex digits, as a Provider of type generic-hmac sends it'
    : "the X-Signature header does not match the body: the Provider's token must be the one that ingest has";
}
