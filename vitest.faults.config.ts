import { defineConfig } from 'vitest/config';

// The faults take minutes and both cores: see docs/reliability.md.
export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    globalSetup: 'test/support/one-redis.ts',
    reporters: ['default', './test/support/table-reporter.ts'],
    // What a killed dispatcher held is taken up within 45 s, and every fault waits for that. A second 401 within a minute gets no
    // new token before the minute is over.
    testTimeout: 900_000,
    hookTimeout: 180_000,
    // One fault at a time: what one breaks must not slow down another.
    fileParallelism: false,
  },
});
