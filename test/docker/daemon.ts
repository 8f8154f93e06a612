import type { TestProject } from 'vitest/node';
import { docker } from './docker.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why these tests cannot run here, or nothing where they can. */
    noDocker: string;
  }
}

/** Has the tests skipped where there is no Docker, and says so. */
export default async function setup(project: TestProject) {
  const noDocker = await docker('version', '--format', '{{.Server.Version}}')
    .then(() => docker('compose', 'version'))
    .then(
      () => '',
      (error: Error) => error.message.trim().replaceAll(/\s*\n\s*/g, ' '),
    );
  if (noDocker) process.stdout.write(`Skipped, as there is no Docker with Compose here: ${noDocker}\n`);
  project.provide('noDocker', noDocker);
}
