import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { readGitHubDescription } from '@flux-dispatch/testbed/openapi';
import { type RecordedRequest, startRecordingProxy } from '@flux-dispatch/testbed/recording-proxy';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { loadFixtures } from '../support/recorded-events.ts';
import { UNHURRIED } from '../support/unhurried.ts';

const LOOK_UP = 'apps/get-repo-installation';
const TOKEN = 'apps/create-installation-access-token';
const DISPATCH = 'repos/create-dispatch-event';

const fixtures = loadFixtures('flux-events');
const repo = 'Altinn/dialogporten';

/** What is hardest to bring within GitHub's limits, of what Flux can send. */
const WORST: Readonly<Record<string, Buffer>> = {
  'as little as there can be': fluxEvent({ message: '', metadata: { dispatch_repo: repo } }),
  'a message whose cut would split a character': fluxEvent({
    message: `${'x'.repeat(1023)}😀${'y'.repeat(38_000)}`,
    metadata: { dispatch_repo: repo, revision: ociRevision('at23', 'worst 1') },
  }),
  'more metadata than fits': fluxEvent({
    metadata: {
      dispatch_repo: repo,
      revision: ociRevision('at23', 'worst 2'),
      ...entries(250, '€'.repeat(100)),
    },
  }),
  'one entry of metadata that is too large alone': fluxEvent({
    metadata: { dispatch_repo: repo, revision: ociRevision('at23', 'worst 3'), huge: 'x'.repeat(200_000) },
  }),
  'every field at its longest, and each character escaped': fluxEvent({
    ...{ namespace: escaped(), name: escaped(), message: escaped() },
    metadata: {
      ...{ dispatch_repo: repo, product: escaped(), env: escaped(), cluster: escaped() },
      ...{ revision: escaped(), originRevision: escaped(), ...entries(100, escaped(1000)) },
    },
  }),
  'names at the edges of what GitHub allows': fluxEvent({
    metadata: {
      ...{
        dispatch_repo: `Altinn/.github,Altinn/_-.${'r'.repeat(97)},Altinn/123`,
        revision: ociRevision('at23', 'worst 4'),
      },
      dispatch_event: 'e'.repeat(100),
    },
  }),
};

function entries(count: number, value: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, value]));
}

/** Six bytes of JSON for each character. */
function escaped(length = 2000): string {
  return '\u0001'.repeat(length);
}

let requests: readonly RecordedRequest[];
const API_VERSION = '2026-03-10';
const github = readGitHubDescription(API_VERSION);

beforeAll(async () => {
  await using credentials = await createCredentials(fixtures.token);
  await using stub = await startGitHubStub(credentials.stub);
  await using proxy = await startRecordingProxy(stub.url);
  await using system = await startSystem({
    ...{ redisUrl: inject('redisUrl'), githubUrl: proxy.url, credentials },
    env: { ...UNHURRIED, DEPENDENCY_GRACE: '0s' },
  });
  const url = system.ingests[0]?.eventsUrl ?? '';
  const events = fixtures.events.filter(({ outcome }) => outcome === 'enqueued').map(({ body }) => body);
  let expected = 0;
  for (const event of [...events, ...Object.values(WORST)]) {
    const { status, body } = await postEvent(url, event, credentials.token);
    expect(status).toBe(202);
    expected += body.dispatches?.length ?? 1;
  }
  await until('all dispatches are at GitHub', () => stub.dispatches.length === expected);
  expect(expected).toBe(events.length + Object.keys(WORST).length + 2);
  requests = [...proxy.requests];
});

const sent = (operation: string) =>
  requests.filter(request => github.checkRequest(request).operation === operation);

// One of the differences between the versions: `rate` must be there no more.
test.each([
  [API_VERSION, 0],
  ['2022-11-28', 1],
])('the description is that of version %s', (version, faults) => {
  const limit = { limit: 1, remaining: 1, reset: 1, used: 0 };
  const overview = { resources: { core: limit, search: limit } };
  const description = version === API_VERSION ? github : readGitHubDescription(version);
  expect(description.valueFaults('rate-limit-overview', overview)).toHaveLength(faults);
});

test('every request is one that GitHub describes: path, parameters and body', () => {
  expect(requests.flatMap(request => github.checkRequest(request).faults)).toEqual([]);
});

test('one installation and one token are asked for, however many dispatches there are', () => {
  expect(requests.map(request => github.checkRequest(request).operation)).toEqual([
    ...[LOOK_UP, TOKEN],
    ...sent(DISPATCH).map(() => DISPATCH),
  ]);
});

test.each([
  [LOOK_UP, /^bearer [\w-]+\.[\w-]+\.[\w-]+$/i],
  [TOKEN, /^bearer [\w-]+\.[\w-]+\.[\w-]+$/i],
  [DISPATCH, /^token ghs_\w+$/i],
])('%s has the headers that GitHub asks for', (operation, authorization) => {
  for (const { headers } of sent(operation)) {
    expect(headers).toMatchObject({
      accept: expect.stringMatching(/^application\/vnd\.github\.[\w.+-]*json$/),
      authorization: expect.stringMatching(authorization),
      'user-agent': expect.stringMatching(/^flux-dispatch\/\d/),
      'x-github-api-version': API_VERSION,
    });
  }
});

test('a payload stays under 60 KB, of the 64 that GitHub takes, whatever the event', () => {
  const sizes = sent(DISPATCH).map(({ body }) => {
    const { client_payload } = JSON.parse(body.toString());
    return Buffer.byteLength(JSON.stringify(client_payload));
  });
  // The worst ones come close to it.
  expect(Math.max(...sizes)).toSatisfy((bytes: number) => bytes > 58_000 && bytes < 60_000);
});

// That the description would show a fault: these are taken from a dispatch that has none.
describe('the description finds a fault in', () => {
  const dispatch = (request: Partial<RecordedRequest>) => ({
    ...(sent(DISPATCH)[0] as RecordedRequest),
    ...request,
  });
  const body = (value: unknown) => dispatch({ body: Buffer.from(JSON.stringify(value)) });
  const eleven = entries(11, '');

  test.each<[string, () => RecordedRequest]>([
    ['another path', () => dispatch({ path: '/repos/Altinn/dialogporten/dispatch' })],
    ['another method', () => dispatch({ method: 'PUT' })],
    ['a query', () => dispatch({ path: '/repos/Altinn/dialogporten/dispatches?page=1' })],
    ['a body of another type', () => dispatch({ headers: { 'content-type': 'text/plain' } })],
    ['no body', () => dispatch({ body: Buffer.alloc(0) })],
    ['no event type', () => body({ client_payload: {} })],
    ['an event type of 101 characters', () => body({ event_type: 'e'.repeat(101) })],
    ['11 keys in the payload', () => body({ event_type: 'flux-deploy', client_payload: eleven })],
    ['a payload that is text', () => body({ event_type: 'flux-deploy', client_payload: '{}' })],
    [
      'an installation that is no number',
      () => dispatch({ path: '/app/installations/Altinn/access_tokens' }),
    ],
  ])('%s', (_, request) => {
    expect(github.checkRequest(request()).faults).toHaveLength(1);
  });
});
