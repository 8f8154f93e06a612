import { readFileSync } from 'node:fs';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { postSigned } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { expect, inject, test } from 'vitest';
import { loadFixtures } from '../support/recorded-events.ts';
import { UNHURRIED } from '../support/unhurried.ts';

test('every line is JSON, and none has a token, key, signature or authorization header', async () => {
  const { token, events } = loadFixtures('flux-events');
  await using credentials = await createCredentials(token);
  await using stub = await startGitHubStub(credentials.stub);
  const redisUrl = new URL(inject('redisUrl'));
  await using system = await startSystem({
    ...{ redisUrl: redisUrl.href, githubUrl: stub.url, credentials },
    env: { ...UNHURRIED, LOG_LEVEL: 'trace', DEPENDENCY_GRACE: '0s' },
  });
  const url = system.ingests[0]?.eventsUrl ?? '';

  // Whatever there is to log: refusals by GitHub, a dropped connection, events of every outcome, wrong signatures.
  stub.setFaults([
    { times: 2, action: { status: 500 } },
    { times: 2, action: { status: 401 } },
    { times: 2, action: { drop: true } },
  ]);
  for (const event of events) await postSigned(url, event.body, event.signature);
  await postSigned(url, Buffer.from('{}'), events[0]?.signature ?? '');
  const enqueued = events.filter(({ outcome }) => outcome === 'enqueued').length;
  // A failure that has to be tried again is superseded by a later success.
  const superseded = () =>
    system.dispatchers
      .flatMap(({ process }) => process.log())
      .filter(({ outcome }) => outcome === 'superseded');
  await until('all have ended', () => stub.dispatches.length + superseded().length === enqueued);
  await system.stop();

  const processes = [...system.ingests, ...system.dispatchers].map(({ process }) => process);
  const secrets = [
    token,
    ...readFileSync(credentials.privateKeyPath, 'utf8')
      .split('\n')
      .filter(line => line.length > 20),
    ...events.map(({ signature }) => signature.replace('sha256=', '')),
    'ghs_',
  ];
  for (const { stdout, stderr, log } of processes) {
    expect(stderr).toEqual([]);
    expect(log()).toHaveLength(stdout.length);
    expect(log()[0]).toMatchObject({
      ...{ name: 'flux-dispatch', version: expect.stringMatching(/^\d+\.\d+/), revision: 'unknown' },
      msg: 'Starting',
    });
    const text = stdout.join('\n');
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).not.toMatch(/authorization|bearer /i);
  }

  // One line for each event, and one for each attempt, with what an operator looks for.
  const ingested = system.ingests[0]?.process.log().filter(({ msg }) => msg === 'Event') ?? [];
  expect(ingested).toHaveLength(events.length + 1);
  const delivered =
    system.dispatchers[0]?.process.log().filter(({ outcome }) => outcome === 'delivered') ?? [];
  expect(delivered).toHaveLength(enqueued - superseded().length);
  for (const line of delivered) {
    expect(line).toMatchObject({
      product: expect.any(String),
      env: expect.any(String),
      repo: expect.stringMatching(/^Altinn\//),
      event_type: expect.stringMatching(/^flux-/),
      reason: expect.any(String),
      dispatch_id: expect.any(String),
    });
  }
});
