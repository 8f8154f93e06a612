import type { Logger } from '@flux-dispatch/runtime/log';
import { reloadedSecret } from '@flux-dispatch/runtime/secret-file';

/**
 * The HMAC keys that a token file stands for: its content as it is, since Flux signs with the Secret's raw bytes, and
 * that without a trailing newline, since a token that was written with `echo` has one more than the Provider's.
 * @throws where the file holds no token
 */
export function parseTokens(content: Buffer): Buffer[] {
  const text = content.toString('latin1');
  const trimmed = Buffer.from(text.replace(/\r?\n$/, ''), 'latin1');
  if (trimmed.length === 0) throw new Error('is empty: it must hold the token of the Flux Provider');
  return trimmed.length === content.length ? [content] : [content, trimmed];
}

/** The tokens of a file, read again when it changes. None as long as it could not be read once. */
export function tokenFile(path: string, log: Logger): () => Promise<readonly Buffer[]> {
  const tokens = reloadedSecret({ variable: 'HMAC_TOKEN_PATH', path, parse: parseTokens, log });
  return async () => (await tokens()) ?? [];
}
