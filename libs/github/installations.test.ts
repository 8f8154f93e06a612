import { readFile } from 'node:fs/promises';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createLogger } from '@flux-dispatch/runtime/log';
import { type Credentials, createCredentials } from '@flux-dispatch/testbed/credentials';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientFactory } from './client.ts';
import { createInstallations } from './installations.ts';
import { parsePrivateKey } from './private-key.ts';

let credentials: Credentials;
let privateKey: string;
beforeAll(async () => {
  credentials = await createCredentials();
  privateKey = parsePrivateKey(await readFile(credentials.privateKeyPath));
});
afterAll(() => credentials[Symbol.asyncDispose]());

/** The installations at a GitHub of their own, where each owner has one. */
async function open(installationId?: number, now?: () => number) {
  const stub = await startGitHubStub({ ...credentials.stub, owners: { Altinn: 1001, Digdir: 1002 } });
  const newClient = clientFactory({
    ...{ apiUrl: stub.url, apiVersion: '2026-03-10', appId: credentials.appId, timeoutMs: 10_000 },
    ...{ onExhausted: () => undefined, log: createLogger('test', 'fatal') },
  });
  const installations = createInstallations({ newClient, installationId, now });
  installations.signWith(privateKey);
  return {
    stub,
    installations,
    lookUps: () => stub.requests.get('GET /repos/{owner}/{repo}/installation 200') ?? 0,
    [Symbol.asyncDispose]: () => stub[Symbol.asyncDispose](),
  };
}

test('an owner has one client, in whatever case, whether it is being looked up or has been', async () => {
  await using d = await open();
  const first = d.installations.on('Altinn/dialogporten');
  const joined = d.installations.on('altinn/correspondence');
  const client = await first.client;
  const later = d.installations.on('ALTINN/notifications');
  expect([first.cached, joined.cached, later.cached]).toEqual([false, true, true]);
  expect([await joined.client, await later.client]).toEqual([client, client]);
  expect(d.lookUps()).toBe(1);
  expect(await d.installations.on('Digdir/roadmap').client).not.toBe(client);
  expect(d.lookUps()).toBe(2);
});

test("a 404 of another repository's look-up says nothing about this one", async () => {
  await using d = await open();
  d.stub.setRepositories({ absent: ['Altinn/typo'] });
  const typo = d.installations.on('Altinn/typo');
  const joined = d.installations.on('Altinn/dialogporten');
  await expect(typo.client).rejects.toMatchObject({ status: 404 });
  const client = await joined.client;
  // It is another's look-up by now.
  typo.evict();
  expect(await d.installations.on('Altinn/correspondence').client).toBe(client);
});

test('what was evicted is looked up again, and not evicted by those that had the old one', async () => {
  await using d = await open();
  const first = d.installations.on('Altinn/dialogporten');
  const old = await first.client;
  const second = d.installations.on('Altinn/correspondence');
  first.evict();
  const renewed = await d.installations.on('Altinn/dialogporten').client;
  expect(renewed).not.toBe(old);
  second.evict();
  expect(await d.installations.on('Altinn/dialogporten').client).toBe(renewed);
});

describe('what was found is given up once a minute at most', () => {
  test('evicted: a fresh token then, and until then no other try', async () => {
    let now = 0;
    await using d = await open(undefined, () => now);
    const on = () => d.installations.on('Altinn/dialogporten');
    const first = await on().client;
    expect(on().evict()).toBe(true);
    const second = await on().client;
    expect(second).not.toBe(first);
    now = 59_999;
    expect(on().evict()).toBe(false);
    expect(await on().client).toBe(second);
    now = 60_000;
    expect(on().evict()).toBe(true);
    expect(await on().client).not.toBe(second);
    expect(d.lookUps()).toBe(3);
  });

  test('for each owner by itself', async () => {
    await using d = await open(undefined, () => 0);
    for (const repo of ['Altinn/dialogporten', 'Digdir/roadmap']) {
      await d.installations.on(repo).client;
      expect([d.installations.on(repo).evict(), await d.installations.on(repo).client]).toMatchObject([
        true,
        {},
      ]);
    }
  });

  test('in doubt: looked up again, and the same client where it is the same installation', async () => {
    let now = 0;
    await using d = await open(undefined, () => now);
    const on = (repo = 'Altinn/dialogporten') => d.installations.on(repo);
    const client = await on().client;
    for (const [at, lookUps] of [
      [0, 2],
      [59_999, 2],
      [60_000, 3],
    ] as const) {
      now = at;
      on().doubt();
      expect(await on().client).toBe(client);
      expect(d.lookUps()).toBe(lookUps);
    }
  });

  test('in doubt: another repository whose look-up fails leaves it as it was', async () => {
    await using d = await open();
    d.stub.setRepositories({ absent: ['Altinn/typo'] });
    const client = await d.installations.on('Altinn/dialogporten').client;
    d.installations.on('Altinn/dialogporten').doubt();
    await expect(d.installations.on('Altinn/typo').client).rejects.toMatchObject({ status: 404 });
    expect(await d.installations.on('Altinn/dialogporten').client).toBe(client);
    expect(d.lookUps()).toBe(1);
  });

  test('in doubt, and then its token is refused: a fresh one', async () => {
    await using d = await open();
    const [first, second] = [1, 2].map(() => d.installations.on('Altinn/dialogporten'));
    const client = await first?.client;
    first?.doubt();
    expect(second?.evict()).toBe(true);
    expect(await d.installations.on('Altinn/dialogporten').client).not.toBe(client);
  });
});

test('a new key forgets every installation, the same one none', async () => {
  await using d = await open();
  const client = await d.installations.on('Altinn/dialogporten').client;
  d.installations.signWith(privateKey);
  expect(await d.installations.on('Altinn/dialogporten').client).toBe(client);
  await using other = await createCredentials();
  d.installations.signWith(parsePrivateKey(await readFile(other.privateKeyPath)));
  const again = d.installations.on('Altinn/dialogporten');
  expect(again.cached).toBe(false);
  await expect(again.client).rejects.toMatchObject({ status: 401 });
});

test('an installation that is given is not looked up', async () => {
  await using d = await open(1001);
  const client = await d.installations.on('Altinn/dialogporten').client;
  expect(await client.auth({ type: 'installation' })).toMatchObject({ installationId: 1001 });
  expect(d.lookUps()).toBe(0);
});

test('a look-up without a key is a bug', async () => {
  const installations = createInstallations({ newClient: () => expect.fail('a client was made') });
  await expect(installations.on('Altinn/dialogporten').client).rejects.toThrow('signWith');
});
