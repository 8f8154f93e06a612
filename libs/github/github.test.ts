import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, test } from 'vitest';
import {
  DISPATCH,
  type Door,
  LOOK_UP,
  MINUTES,
  OWNERS,
  pass,
  SECONDS,
  setUpDoors,
  TOKEN,
} from '../../test/support/door.ts';
import type { ErrorCode } from './verdict.ts';

const { openDoor, startReinstalled } = setUpDoors();

/** Sends a dispatch whose token is refused although it is fresh. */
async function sendRefused(d: Door): Promise<ErrorCode> {
  const sent = d.send();
  // For a token under 5 s old, Octokit itself tries again.
  const refused = () => d.stub.requests.get('POST /repos/{owner}/{repo}/dispatches 401');
  await until('the fresh token is refused', () => refused() === 2);
  pass(5 * SECONDS);
  return sent;
}

describe('the installation and its token', () => {
  test('are asked for once for an owner, in whatever case, also by dispatches at the same time', async () => {
    await using d = await openDoor();
    const repos = ['Altinn/dialogporten', 'altinn/correspondence', 'ALTINN/Dialogporten'];
    expect(await Promise.all(repos.map(d.send))).toEqual(['204', '204', '204']);
    expect(await d.send()).toBe('204');
    expect(d.calls().slice(0, 2)).toEqual([LOOK_UP, TOKEN]);
    expect(d.stub.requests).toEqual(
      new Map([
        ['GET /repos/{owner}/{repo}/installation 200', 1],
        ['POST /app/installations/{installation_id}/access_tokens 201', 1],
        ['POST /repos/{owner}/{repo}/dispatches 204', 4],
      ]),
    );
  });

  test('are other ones for another owner', async () => {
    await using d = await openDoor();
    await d.send();
    d.calls();
    expect(await d.send('Digdir/roadmap')).toBe('204');
    expect(d.calls()).toEqual([
      'GET /repos/Digdir/roadmap/installation',
      'POST /app/installations/1002/access_tokens',
      'POST /repos/Digdir/roadmap/dispatches',
    ]);
  });

  test('GITHUB_INSTALLATION_ID given: it is not looked up', async () => {
    await using d = await openDoor({ installationId: OWNERS.Altinn });
    expect([await d.send(), await d.send()]).toEqual(['204', '204']);
    expect(d.calls()).toEqual([TOKEN, DISPATCH, DISPATCH]);
  });

  test('a token is renewed before it expires', async () => {
    await using d = await openDoor();
    await d.send();
    pass(58 * MINUTES);
    await d.send();
    d.calls();
    pass(1.5 * MINUTES);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([TOKEN, DISPATCH]);
  });

  test('a token that has expired early is replaced within the attempt', async () => {
    await using d = await openDoor({}, { tokenTtlMs: 10 * SECONDS });
    await d.send();
    d.calls();
    pass(11 * SECONDS);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, TOKEN, DISPATCH]);
  });

  test('so is one that was revoked, by each of the dispatches that had it', async () => {
    await using d = await openDoor();
    await d.send();
    d.stub.clear();
    d.stub.revokeTokens();
    pass(5 * SECONDS);
    expect(await Promise.all(Array.from({ length: 4 }, () => d.send()))).toEqual([
      '204',
      '204',
      '204',
      '204',
    ]);
    expect(d.stub.dispatches).toHaveLength(4);
    expect(d.stub.requests.get('GET /repos/{owner}/{repo}/installation 200')).toBe(1);
    expect(d.stub.requests.get('POST /app/installations/{installation_id}/access_tokens 201')).toBe(1);
  });

  test('a token that is refused although it is fresh: 401, after one more try', async () => {
    await using d = await openDoor();
    await d.send();
    d.calls();
    pass(5 * SECONDS);
    d.stub.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: { status: 401 } }]);
    expect(await sendRefused(d)).toBe('401');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, TOKEN, DISPATCH, DISPATCH]);
  });

  test.each([
    ['while its token is cached', 5 * SECONDS, [DISPATCH]],
    ['once its token is to be renewed', 59.5 * MINUTES, [TOKEN]],
  ])('a reinstalled App is looked up again within the attempt, %s', async (_, ms, refused) => {
    await using d = await openDoor();
    await d.send();
    d.calls();
    await using renewed = await startReinstalled();
    d.proxy.forwardTo(renewed.url);
    pass(ms);
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([...refused, LOOK_UP, TOKEN.replace('1001', '2002'), DISPATCH]);
    expect(renewed.dispatches).toHaveLength(1);
  });
});

describe('what is refused', () => {
  test('a repository without the App says nothing about the others of its owner', async () => {
    await using d = await openDoor();
    d.stub.setRepositories({ absent: ['Altinn/typo', 'Altinn/gone'] });
    const repos = ['Altinn/typo', 'Altinn/dialogporten', 'Altinn/gone', 'Altinn/correspondence'];
    expect(await Promise.all(repos.map(d.send))).toEqual(['404', '204', '404', '204']);
  });

  test('404 has the installation looked up again, and keeps its token while it is the same', async () => {
    await using d = await openDoor();
    await d.send();
    d.calls();
    d.stub.setRepositories({ absent: ['Altinn/dialogporten'] });
    expect(await d.send()).toBe('404');
    d.stub.setRepositories({});
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([DISPATCH, LOOK_UP, DISPATCH]);
  });

  // "1,050 misspelt repositories: 67 token calls": none, and hardly a look-up.
  test('misspelt repositories cost no token, and a look-up a minute at most', async () => {
    await using d = await openDoor();
    await d.send();
    const misspelt = Array.from({ length: 150 }, (_, n) => `Altinn/typo-${n}`);
    d.stub.setRepositories({ absent: misspelt });
    d.calls();
    for (const repo of misspelt) {
      pass(SECONDS);
      expect(await d.send(repo)).toBe('404');
    }
    expect(await d.send()).toBe('204');
    const calls = d.calls();
    expect(calls.filter(call => call.includes('access_tokens'))).toEqual([]);
    expect(calls.filter(call => call.includes('/installation')).length).toBeLessThanOrEqual(3);
    expect(calls.length).toBeLessThanOrEqual(misspelt.length + 4);
  });

  test('a reinstalled App is found within a minute, whatever was evicted before', async () => {
    await using d = await openDoor();
    await d.send();
    d.stub.revokeTokens();
    pass(5 * SECONDS);
    expect(await d.send()).toBe('204');
    await using renewed = await startReinstalled();
    d.proxy.forwardTo(renewed.url);
    pass(30 * SECONDS);
    expect(await d.send()).toBe('401');
    pass(30 * SECONDS);
    expect(await d.send()).toBe('204');
  });

  test('401 that lasts costs one token a minute', async () => {
    await using d = await openDoor();
    await d.send();
    pass(5 * SECONDS);
    d.stub.setFaults([{ match: { method: 'POST', path: '/repos/' }, action: { status: 401 } }]);
    expect(await sendRefused(d)).toBe('401');
    d.calls();
    for (let second = 0; second < 50; second += 10) {
      pass(10 * SECONDS);
      expect(await d.send()).toBe('401');
    }
    expect(d.calls()).toEqual(Array.from({ length: 5 }, () => DISPATCH));
  });

  test.each([
    ['not installed', { notInstalled: ['Altinn'] }, '404', [LOOK_UP]],
    ['suspended', { suspended: ['Altinn'] }, '403', [LOOK_UP, TOKEN]],
  ])('an App that is %s can dispatch again as soon as that is fixed', async (_, settings, status, calls) => {
    await using d = await openDoor();
    d.stub.setInstallations(settings);
    expect(await d.send()).toBe(status);
    expect(d.calls()).toEqual(calls);
    d.stub.setInstallations({});
    expect(await d.send()).toBe('204');
  });
});

describe('a repository that was renamed', () => {
  test('is found by its old name, by the look-up and by the dispatch', async () => {
    await using d = await openDoor();
    d.stub.setRepositories({ renamed: { 'Altinn/old': 'Altinn/dialogporten' } });
    expect([await d.send('Altinn/old'), await d.send('Altinn/old')]).toEqual(['204', '204']);
    expect(d.stub.dispatches.map(({ repo }) => repo)).toEqual(['dialogporten', 'dialogporten']);
    const { calls } = d;
    const number = '/repositories/\\d+';
    expect(calls().join('\n')).toMatch(
      new RegExp(
        [
          'GET /repos/Altinn/old/installation',
          `GET ${number}/installation`,
          TOKEN,
          'POST /repos/Altinn/old/dispatches',
          `POST ${number}/dispatches`,
          'POST /repos/Altinn/old/dispatches',
          `POST ${number}/dispatches`,
        ].join('\n'),
      ),
    );
  });

  test("and transferred is a dead letter, and its new owner's installation is not used for others of the old one", async () => {
    await using d = await openDoor();
    d.stub.setRepositories({ renamed: { 'Altinn/moved': 'Digdir/moved' } });
    const [moved, other] = await Promise.all([d.attempt('Altinn/moved'), d.attempt()]);
    expect(moved).toMatchObject({ kind: 'dead', code: '301', hint: expect.stringContaining('Digdir') });
    expect(other).toMatchObject({ kind: 'delivered' });
    expect(d.stub.dispatches.map(({ owner }) => owner)).toEqual(['Altinn']);
  });
});

describe('whether the dispatch may go', () => {
  test('is asked once there is a token, so that slow look-ups do not let many go at once', async () => {
    const asked: string[][] = [];
    await using d = await openDoor({
      mayGo: async () => {
        asked.push(d.calls());
        return true;
      },
    });
    expect(await d.send()).toBe('204');
    expect(asked).toEqual([[LOOK_UP, TOKEN]]);
    expect(d.calls()).toEqual([DISPATCH]);
  });

  test('no: nothing is sent', async () => {
    await using d = await openDoor({ mayGo: async () => false });
    await expect(d.send()).rejects.toThrow('held');
    expect(d.calls()).toEqual([LOOK_UP, TOKEN]);
  });

  test('not known: neither, and the attempt rejects with the reason', async () => {
    const mayGo = async () => Promise.reject(new Error('Redis refuses'));
    await using d = await openDoor({ mayGo });
    await expect(d.send()).rejects.toThrow('Redis refuses');
    expect(d.stub.dispatches).toEqual([]);
  });
});
