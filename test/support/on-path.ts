import { findOnPath } from '@flux-dispatch/testbed/find-on-path';
import { inject, type TestContext } from 'vitest';

/** The absolute path of a program. Where the PATH has none, the test is skipped, with what to install. */
export async function onPath(name: string, debianPackage: string, { skip }: TestContext): Promise<string> {
  const file = await findOnPath(name, inject('path'));
  return file ?? skip(`no ${name} on the PATH: install one, such as apt-get install ${debianPackage}`);
}
