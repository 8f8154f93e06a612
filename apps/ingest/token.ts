import type { Logger } from '@flux-dispatch/runtime/log';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';

/**
 * The HMAC keys that a token file stands for: its content as it is, since Flux signs with the Secret's raw bytes, and
 * that without a trailing newline, since a token that was written with `echo` has one more than the Provider's.
 */
export function parseTokens(content: Buffer): Buffer[] {
  const text = content.toString('latin1');
  const trimmed = Buffer.from(text.replace(/\r?\n$/, ''), 'latin1');
  if (trimmed.length === 0) return [];
  return trimmed.length === content.length ? [content] : [content, trimmed];
}

/** The tokens of a file, re-read when it changes. While it cannot be read or is empty, the last ones stay valid. */
export function tokenFile(path: string, log: Logger): () => Promise<readonly Buffer[]> {
  const current = reloadedFile(path, parseTokens);
  let last: readonly Buffer[] = [];
  let failed = false;
  return async () => {
    try {
      const tokens = await current();
      if (tokens.length === 0) throw new Error('it is empty');
      last = tokens;
      failed = false;
    } catch (error) {
      if (!failed)
        log.error(
          { reason: (error as Error).message },
          `Cannot reload HMAC_TOKEN_PATH (${path}): the last token stays valid`,
        );
      failed = true;
    }
    return last;
  };
}
