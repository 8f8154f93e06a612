import { expect, test } from 'vitest';
import { listening, spawnApp, untilReady } from './app-process.ts';
import { createCredentials } from './credentials.ts';

test('a process that does not become ready is reported with the reason and the end of its log', async () => {
  await using credentials = await createCredentials();
  await using ingest = spawnApp('ingest', {
    REDIS_URL: 'redis://127.0.0.1:1',
    LISTEN_ADDR: '127.0.0.1:0',
    METRICS_ADDR: '127.0.0.1:0',
    HMAC_TOKEN_PATH: credentials.tokenPath,
  });
  const { metrics_port: port } = await listening(ingest);
  const failure = await untilReady(ingest, `http://127.0.0.1:${port}`, 500).catch(error => error);
  expect(failure.message).toMatch(
    /^ingest did not become ready within 0\.5 s: No connection to Redis: nothing listens on /,
  );
  expect(failure.message).toMatch(/\. The end of its log:\n\{.*trying again/s);
});

test('a process that ends is reported with its output', async () => {
  await using ingest = spawnApp('ingest', {});
  await expect(listening(ingest)).rejects.toThrow(/^ingest ended \(\d+\):\n.*HMAC_TOKEN_PATH/s);
});
