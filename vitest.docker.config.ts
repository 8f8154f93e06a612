import { defineConfig } from 'vitest/config';

// The image and docker-compose.yml, which need a Docker daemon and some minutes.
export default defineConfig({
  test: {
    include: ['test/docker/**/*.test.ts'],
    globalSetup: 'test/docker/daemon.ts',
    reporters: ['default', './test/support/table-reporter.ts'],
    testTimeout: 300_000,
    // The first build installs packages and pulls images.
    hookTimeout: 900_000,
    // Both build the same images.
    fileParallelism: false,
  },
});
