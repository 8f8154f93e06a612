import { configDefaults, defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['apps/**/*.test.ts', 'libs/**/*.test.ts', 'dev/**/*.test.ts', 'test/**/*.test.ts'],
    // Take minutes: npm run test:faults and test:docker.
    exclude: [...configDefaults.exclude, 'test/faults/**', 'test/docker/**'],
    // One Redis for all files; each test has keys of its own.
    globalSetup: 'test/support/one-redis.ts',
    // Real processes start, and on two cores several files at once.
    // Most of the time they wait for each other, so more files at once than there are cores take less time.
    maxWorkers: 4,
    // They end what hangs. What merely takes long on a busy machine must stay below: nothing here waits for them.
    testTimeout: 180_000,
    hookTimeout: 180_000,
  },
});
