import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { redisEnvironment } from '@flux-dispatch/testbed/test-redis';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    redisUrl: string;
    /** `PATH` of the environment, for tests that need a Redis of their own. */
    path: string;
    /** The folder for the screenshots of the docs, or nothing where none are wanted: `SCREENSHOTS`. */
    screenshots: string;
    /** How many interleavings of dead letters are tried, or nothing for the usual number: `INTERLEAVINGS`. */
    interleavings: string;
  }
}

/** Gives every test file the URL of one real Redis. Without any, the tests end here, with the ways to get one. */
export default async function setup(project: TestProject) {
  const path = process.env['PATH'] ?? '';
  const redis = await acquireRedis({ given: redisEnvironment(process.env), urlAlone: true, path });
  process.stdout.write(`Redis for the tests: ${redis.origin}\n`);
  project.provide('redisUrl', redis.url);
  project.provide('path', path);
  project.provide('screenshots', process.env['SCREENSHOTS'] ?? '');
  project.provide('interleavings', process.env['INTERLEAVINGS'] ?? '');
  return () => redis[Symbol.asyncDispose]();
}
