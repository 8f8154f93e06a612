import type { Logger } from './log.ts';
import { reloadedFile } from './reloaded-file.ts';

export interface SecretFile<T> {
  /** The variable that names the file, for the log. */
  readonly variable: string;
  readonly path: string;
  /** Throws what is wrong with the content, in words that do not repeat it. */
  readonly parse: (content: Buffer) => T;
  readonly log: Logger;
}

/**
 * A secret in a mounted file, which is read again when it changes. While the file cannot be read or parsed, its last good
 * content stays in use, and one log line says so. The returned function gives undefined where there has been none yet;
 * it never throws.
 */
export function reloadedSecret<T>({
  variable,
  path,
  parse,
  log,
}: SecretFile<T>): () => Promise<T | undefined> {
  const current = reloadedFile(path, parse);
  let lastGood: T | undefined;
  let failed = false;
  return async () => {
    try {
      lastGood = await current();
      failed = false;
    } catch (error) {
      if (!failed) {
        const inUse = lastGood === undefined ? '' : ': its last good content stays in use';
        log.error(
          { variable, reason: (error as Error).message },
          `${variable} (${path}) cannot be loaded${inUse}`,
        );
      }
      failed = true;
    }
    return lastGood;
  };
}
