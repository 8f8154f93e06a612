import { readFile } from 'node:fs/promises';

// Kubernetes swaps a mounted Secret without a signal. A change is to count within 30 s.
const MAX_AGE_MS = 10_000;

/**
 * A mounted file whose changes count within 10 s, without a restart and without a watcher: inotify does not see the
 * symlink swap by which Kubernetes updates a volume. `parse` runs again only when the content has changed.
 * The returned function throws what reading or `parse` throws.
 */
export function reloadedFile<T>(
  path: string,
  parse: (content: Buffer) => T,
  now: () => number = Date.now,
): () => Promise<T> {
  let loaded: { content: Buffer; value: T } | undefined;
  let checkedAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<T> | undefined;

  async function read(): Promise<T> {
    const content = await readFile(path);
    if (!loaded?.content.equals(content)) loaded = { content, value: parse(content) };
    checkedAt = now();
    return loaded.value;
  }

  return () => {
    if (loaded && now() - checkedAt < MAX_AGE_MS) return Promise.resolve(loaded.value);
    // Requests that come while the file is being read share the one read.
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  };
}
