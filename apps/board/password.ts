import type { Logger } from '@flux-dispatch/runtime/log';
import { reloadedFile } from '@flux-dispatch/runtime/reloaded-file';

/** The password that a file holds: its content without a newline at the end, which most editors leave there. */
export function parsePassword(content: Buffer): string {
  return content.toString('utf8').replace(/\r?\n$/, '');
}

/**
 * The password of a file, re-read when it changes. While it cannot be read or is empty, the last one stays valid;
 * undefined where there has been none.
 */
export function passwordFile(path: string, log: Logger): () => Promise<string | undefined> {
  const current = reloadedFile(path, parsePassword);
  let last: string | undefined;
  let failed = false;
  return async () => {
    try {
      const password = await current();
      if (password === '') throw new Error('it is empty');
      last = password;
      failed = false;
    } catch (error) {
      if (!failed) {
        log.error(
          { reason: (error as Error).message },
          `Cannot reload BOARD_PASSWORD_PATH (${path}): the last password stays valid`,
        );
      }
      failed = true;
    }
    return last;
  };
}
