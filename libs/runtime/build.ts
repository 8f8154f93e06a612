import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Which build of the software runs. */
export interface Build {
  readonly name: string;
  readonly version: string;
  /** The Git commit; `unknown` in a checkout and in an image that was built without it. */
  readonly revision: string;
}

const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Reads which build this is. The image has a `build.json` beside `package.json`, with the version and the revision that it
 * was built from; a checkout has none, and its version is that of `package.json`.
 */
export function readBuild(root: string = ROOT): Build {
  const read = (file: string) => JSON.parse(readFileSync(join(root, file), 'utf8'));
  const { name, version } = read('package.json');
  const built = existsSync(join(root, 'build.json')) ? read('build.json') : {};
  return { name, version: built.version ?? version, revision: built.revision ?? 'unknown' };
}
