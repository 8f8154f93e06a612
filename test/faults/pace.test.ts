import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';

const MINUTES = 60_000;

// GitHub's own times, as a faster clock would make a slow machine look like a burst.
test('a backlog of 500 that arrives 55 s after a first event drains within the secondary limit, without one refusal', {
  timeout: 8 * MINUTES,
}, async () => {
  await using credentials = await createCredentials();
  await using stub = await startGitHubStub(credentials.stub);
  // 900 points in any 60 s, 5 for a POST.
  stub.setSecondaryLimit({ enabled: true });
  await using system = await startSystem({
    ...{ redisUrl: inject('redisUrl'), githubUrl: stub.url, credentials, ingests: 2, dispatchers: 2 },
  });
  const deploy = async (n: number | string) => {
    const metadata = { dispatch_repo: 'Altinn/pace', env: 'at23', revision: ociRevision('at23', `${n}`) };
    const { eventsUrl } = system.ingests[Number(n) % 2] ?? system.ingests[0] ?? { eventsUrl: '' };
    const { status } = await postEvent(
      eventsUrl,
      fluxEvent({ name: `app-${n}`, metadata }),
      credentials.token,
    );
    expect(status).toBe(202);
  };
  await deploy('first');
  await until('the first does not wait', () => stub.received === 1, 2000);
  const firstAt = Date.now();
  await until('its minute is nearly over', () => Date.now() - firstAt > 55_000, 2 * MINUTES);
  await Promise.all(Array.from({ length: 500 }, (_, n) => deploy(n)));
  await until('all are at GitHub', () => stub.received === 501, 5 * MINUTES);
  expect([...stub.requests.keys()].filter(call => / (403|429)$/.test(call))).toEqual([]);
});
