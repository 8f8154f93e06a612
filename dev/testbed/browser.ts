import { type Browser, chromium } from 'playwright-core';
import { findOnPath } from './find-on-path.ts';

/** The browsers that are looked for on a `PATH`. */
export const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

/** Starts a browser without a window. Returns undefined where no folder of a `PATH` has one. */
export async function launchBrowser(path: string): Promise<Browser | undefined> {
  for (const name of BROWSERS) {
    const executablePath = await findOnPath(name, path);
    // In a container there is nothing to make its sandbox of, and it sees no page but our own.
    if (executablePath !== undefined) return chromium.launch({ executablePath, args: ['--no-sandbox'] });
  }
  return undefined;
}
