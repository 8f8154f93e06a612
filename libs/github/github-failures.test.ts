import { readFile, writeFile } from 'node:fs/promises';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { until } from '@flux-dispatch/testbed/until';
import { describe, expect, test } from 'vitest';
import {
  DISPATCH,
  LOOK_UP,
  MINUTES,
  OWNERS,
  pass,
  SECONDS,
  setUpDoors,
  TOKEN,
} from '../../test/support/door.ts';
import type { AppOptions } from './app.ts';
import type { Verdict } from './verdict.ts';

const { openDoor, openOwnDoor } = setUpDoors();

describe('what goes wrong on the way', () => {
  const LOOK_UP_FAULT = { method: 'GET', path: '/repos/' };
  const TOKEN_FAULT = { path: '/app/installations/' };
  const html = '<html>Sign in</html>';
  // "A look-up answered `null`": not a TypeError for ever.
  test.each([
    ['null', 'installation', LOOK_UP_FAULT, { status: 200, body: null }],
    ['a list', 'installation', LOOK_UP_FAULT, { status: 200, body: [] }],
    ['nothing', 'installation', LOOK_UP_FAULT, { status: 200, body: {} }],
    ['an id that is no number', 'installation', LOOK_UP_FAULT, { status: 200, body: { id: 'x' } }],
    ['a page', 'installation', LOOK_UP_FAULT, { status: 200, body: html }],
    ['no content', 'installation', LOOK_UP_FAULT, { status: 204 }],
    ['null', 'token', TOKEN_FAULT, { status: 200, body: null }],
    ['nothing', 'token', TOKEN_FAULT, { status: 201, body: {} }],
    ['a page', 'token', TOKEN_FAULT, { status: 200, body: html }],
    ['a page', 'dispatch', { method: 'POST', path: '/repos/' }, { status: 200, body: html }],
  ])('%s for the %s is tried again, and says what to check', async (_, call, match, action) => {
    await using d = await openDoor();
    d.stub.setFaults([{ match, times: 1, action }]);
    expect(await d.attempt()).toEqual({
      ...{ kind: 'retry', code: `${action.status}`, limit: undefined },
      message: expect.stringMatching(new RegExp(`answered ${action.status} \\(${call}\\).*check the proxy`)),
    });
    expect(await d.send()).toBe('204');
    expect(d.stub.dispatches).toHaveLength(1);
  });

  // "A proxy answers 302 → 200 HTML: delivered, lost".
  test.each([
    ['the look-up', LOOK_UP_FAULT],
    ['the token', TOKEN_FAULT],
    ['the dispatch', { method: 'POST', path: '/repos/' }],
  ])('a redirect of %s to a sign-in page is tried again, and names its host', async (_, match) => {
    await using d = await openDoor();
    const action = { status: 302, headers: { location: 'https://login.example/?from=github' } };
    d.stub.setFaults([{ match, times: 1, action }]);
    expect(await d.attempt()).toMatchObject({
      ...{ kind: 'retry', code: 'network', message: expect.stringContaining('https://login.example,') },
    });
    expect(await d.send()).toBe('204');
    expect(d.stub.dispatches).toHaveLength(1);
  });

  test('an error that our own code did not expect is a verdict too', async () => {
    await using d = await openDoor();
    expect(await d.attempt('dialogporten')).toEqual({
      ...{ kind: 'retry', code: 'internal', stack: expect.stringContaining('splitRepository') },
      message: 'Unexpected error in the dispatcher: "dialogporten" is not owner/name',
    });
  });

  test.each([
    ['the look-up', { method: 'GET', path: '/repos/' }],
    ['the token', { path: '/app/installations/' }],
    ['the dispatch', { method: 'POST', path: '/repos/' }],
  ])('with %s is over with the attempt', async (_, match) => {
    await using d = await openDoor({ timeoutMs: 500 });
    d.stub.setFaults([{ match, times: 1, action: { drop: true } }]);
    expect([await d.send(), await d.send()]).toEqual(['network', '204']);

    await using slow = await openDoor({ timeoutMs: 500 });
    slow.stub.setFaults([{ match, times: 1, action: { latencyMs: MINUTES } }]);
    expect(await slow.send()).toBe('timeout');
    await until('it is over', async () => (await slow.send()) === '204');
  });

  test('the time is for the attempt with all its calls', async () => {
    await using d = await openDoor({ timeoutMs: 1000 });
    d.stub.setFaults([{ action: { latencyMs: 400 } }]);
    expect(await d.send()).toBe('timeout');
    expect(d.stub.dispatches).toEqual([]);
  });

  test('a token that does not come holds up no other owner', async () => {
    await using d = await openDoor({ timeoutMs: MINUTES });
    d.stub.setFaults([{ match: { path: '/app/installations/1001/' }, action: { latencyMs: MINUTES } }]);
    const ended: unknown[] = [];
    const hanging = [1, 2, 3].map(() => d.send().then(status => ended.push(status)));
    await d.send('Digdir/roadmap').then(status => ended.push(status));
    expect(ended).toEqual(['204']);
    await d.stub.close();
    await Promise.all(hanging);
    expect(ended).toEqual(['204', 'network', 'network', 'network']);
  });
});

// The App and its installation each have a limit: the look-up and the token count for one, the dispatch for the other.
test.each<[string, number, Partial<AppOptions>, string[], Partial<Verdict>]>([
  ['that for the token', 2, {}, ['primary'], { kind: 'delivered', limit: undefined }],
  ['the look-up, so the token is refused', 1, {}, ['primary'], { kind: 'pause', code: '403' }],
  [
    'those for the token and the dispatch, whose verdict says so itself',
    1,
    { installationId: OWNERS.Altinn },
    ['primary'],
    { kind: 'delivered', limit: { kind: 'primary', waitMs: expect.any(Number) } },
  ],
])('the last call within a limit is reported: %s', async (_, limit, options, exhausted, verdict) => {
  const limits: string[] = [];
  await using d = await openDoor({ ...options, onExhausted: ({ kind }) => limits.push(kind) });
  d.stub.setRateLimit({ limit, windowMs: MINUTES });
  expect(await d.attempt()).toMatchObject(verdict);
  expect(limits).toEqual(exhausted);
});

// "Dispatcher 65 min ahead during a primary limit: 40 calls in 12 s".
test.each([
  ['ahead of', -65],
  ['behind', 65],
])('a clock 65 min %s GitHub does not change how long it asks to wait', async (_, minutes) => {
  const now = () => Date.now() + minutes * MINUTES;
  await using d = await openDoor({}, { now });
  d.stub.setRateLimit({ limit: 3, windowMs: 40 * MINUTES });
  const verdicts = [await d.attempt(), await d.attempt(), await d.attempt()];
  const ms = verdicts.at(-1)?.limit?.waitMs ?? 0;
  expect(ms).toBeGreaterThan(39 * MINUTES);
  expect(ms).toBeLessThanOrEqual(40 * MINUTES + 2 * SECONDS);
});

describe("the App's key", () => {
  test('when it is rotated: the new one is used from when it is read, also where there are tokens yet', async () => {
    await using own = await createCredentials();
    await using next = await createCredentials();
    await using d = await openOwnDoor(own);
    expect(await d.send()).toBe('204');

    await writeFile(own.privateKeyPath, await readFile(next.privateKeyPath));
    d.stub.setKeys(next.stub.publicKeys);
    pass(10 * SECONDS);
    d.calls();
    expect(await d.send()).toBe('204');
    expect(d.calls()).toEqual([LOOK_UP, TOKEN, DISPATCH]);
  });

  test('when it is taken away first: 401, until the new one is there', async () => {
    await using own = await createCredentials();
    await using next = await createCredentials();
    await using d = await openOwnDoor(own);
    d.stub.setKeys(next.stub.publicKeys);
    expect(await d.send()).toBe('401');
    await writeFile(own.privateKeyPath, await readFile(next.privateKeyPath));
    expect(await d.send()).toBe('401');
    pass(10 * SECONDS);
    expect(await d.send()).toBe('204');
  });

  test('is asked for again while it cannot be read, and nothing is sent', async () => {
    await using own = await createCredentials();
    await using d = await openOwnDoor(own);
    const key = await readFile(own.privateKeyPath);
    await writeFile(own.privateKeyPath, 'half of a k');
    expect(await d.attempt()).toMatchObject({
      ...{ kind: 'retry', code: 'auth', message: expect.stringContaining('GITHUB_PRIVATE_KEY_PATH') },
    });
    expect(d.calls()).toEqual([]);
    await writeFile(own.privateKeyPath, key);
    expect(await d.send()).toBe('204');
  });
});
