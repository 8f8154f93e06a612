import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, join } from 'node:path';

/** A file of the board's own that its pages load. */
export interface Asset {
  /** Has the hash of its content in it, so that browsers may keep it for ever. */
  readonly path: string;
  readonly type: string;
  readonly content: string;
}

/** Reads a file of the folder assets. @throws where there is none of that name */
function readAsset(name: string, type: string): Asset {
  const content = readFileSync(join(import.meta.dirname, 'assets', name), 'utf8');
  const hash = createHash('sha256').update(content).digest('hex').slice(0, 10);
  const extension = extname(name);
  return { path: `/static/${name.slice(0, -extension.length)}.${hash}${extension}`, type, content };
}

/** Hides the buttons of Bull Board that are refused, and styles what the board adds to it. */
export const STYLES = readAsset('board.css', 'text/css');

/** Opens a queue by loading its page, so that the board leads to the tab that it opens on. */
export const SCRIPT = readAsset('board.js', 'text/javascript');

/** The asset of this path. */
export function assetOf(path: string): Asset | undefined {
  return [STYLES, SCRIPT].find(asset => asset.path === path);
}
