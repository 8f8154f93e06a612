import { describe, expect, test } from 'vitest';
import type { ApiCall, ApiResult } from './api-result.ts';
import { classify } from './classify.ts';

const REPO = 'Altinn/dialogporten';
const NOW = Date.parse('2026-03-05T12:00:00Z');
const SECONDS = 1000;
const MINUTE = 60 * SECONDS;

interface Answer {
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly message?: string;
  readonly call?: ApiCall;
}

function verdict(status: number, { headers = {}, message = '', call = 'dispatch' }: Answer = {}) {
  return classify({ kind: 'response', call, status, headers, message }, REPO, NOW);
}

describe('what becomes of the dispatch', () => {
  test.each<[number, string, Answer, string]>([
    [204, 'accepted', {}, 'delivered'],
    [200, 'from something in between', {}, 'retry'],
    [201, 'from something in between', {}, 'retry'],
    [202, 'from something in between', {}, 'retry'],
    [205, 'from something in between', {}, 'retry'],
    [204, 'for the look-up', { call: 'installation' }, 'retry'],
    [200, 'for the token', { call: 'token' }, 'retry'],
    [304, 'what GitHub does not answer', {}, 'retry'],
    [
      400,
      'a version of the API that it does not know',
      { message: 'The version you specified is not a supported version.' },
      'retry',
    ],
    [401, 'still, after a fresh token', { message: 'Bad credentials' }, 'retry'],
    [401, 'for the token', { call: 'token' }, 'retry'],
    [408, 'timeout', {}, 'retry'],
    [500, 'GitHub is unwell', {}, 'retry'],
    [502, 'GitHub is unwell', {}, 'retry'],
    [503, 'GitHub is unwell', { headers: { 'retry-after': '30' } }, 'retry'],
    [403, 'no permission', { message: 'Resource not accessible by integration' }, 'dead'],
    [403, 'with calls left', { headers: { 'x-ratelimit-remaining': '4999' } }, 'dead'],
    [403, 'suspended', { message: 'This installation has been suspended', call: 'token' }, 'dead'],
    [404, 'no such repository', { message: 'Not Found' }, 'dead'],
    [404, 'the App is not installed', { message: 'Not Found', call: 'installation' }, 'dead'],
    [404, 'the App itself is unknown', { message: 'Integration not found', call: 'installation' }, 'retry'],
    [410, 'gone', {}, 'dead'],
    [422, 'GitHub finds it invalid', { message: 'Validation Failed' }, 'dead'],
    [400, 'any other 4xx', {}, 'dead'],
    [451, 'any other 4xx', {}, 'dead'],
  ])('%i %s', (status, _, answer, kind) => {
    expect(verdict(status, answer).kind).toBe(kind);
  });

  test.each<[ApiResult, string, string]>([
    [{ kind: 'timeout', call: 'token' }, 'timeout', 'GitHub did not answer in time (token)'],
    [
      { kind: 'network', call: 'installation', message: 'ECONNREFUSED' },
      'network',
      'GitHub cannot be reached: ECONNREFUSED',
    ],
    [{ kind: 'key', message: 'does not exist' }, 'auth', 'GITHUB_PRIVATE_KEY_PATH does not exist'],
  ])('no answer: %j', (result, code, message) => {
    expect(classify(result, REPO, NOW)).toEqual({ kind: 'retry', code, message });
  });

  test.each<[ApiResult, boolean]>([
    [{ kind: 'timeout', call: 'dispatch' }, true],
    [{ kind: 'timeout', call: 'token' }, false],
    [{ kind: 'network', call: 'dispatch', message: 'read ECONNRESET' }, true],
    [{ kind: 'network', call: 'dispatch', message: 'other side closed' }, true],
    [{ kind: 'network', call: 'token', message: 'read ECONNRESET' }, false],
    [{ kind: 'network', call: 'dispatch', message: 'connect ECONNREFUSED 127.0.0.1:1' }, false],
    [{ kind: 'network', call: 'dispatch', message: 'getaddrinfo ENOTFOUND api.github.com' }, false],
  ])('GitHub may have the dispatch after %j: %s', (result, isDoubtful) => {
    expect(classify(result, REPO, NOW)).toMatchObject({ kind: 'retry', ...(isDoubtful && { isDoubtful }) });
    expect('isDoubtful' in classify(result, REPO, NOW)).toBe(isDoubtful);
  });
});

test('an error says what GitHub said, and to which call', () => {
  const message = 'Not Found';
  expect(verdict(404, { message, call: 'installation' })).toMatchObject({
    code: '404',
    message: 'GitHub answered 404: Not Found (installation)',
  });
  expect(verdict(502)).toMatchObject({ code: '502', message: 'GitHub answered 502 (dispatch)' });
});

test('an App that GitHub does not know is an error of authentication, not of the dispatch', () => {
  expect(verdict(404, { message: 'Integration not found' })).toMatchObject({ kind: 'retry', code: 'auth' });
});

test('an answer that is not from GitHub says what to check', () => {
  const message = expect.stringMatching(
    /between the dispatcher and GitHub answered 200.*check the proxy.*GITHUB_API_URL/,
  );
  expect(verdict(200, { headers: { 'content-type': 'text/html' } })).toMatchObject({ code: '200', message });
});

test('a version of the API that GitHub does not know names the variable', () => {
  const answer = {
    message: 'The version you specified is not a supported version.',
    call: 'installation',
  } as const;
  expect(verdict(400, answer)).toMatchObject({ message: expect.stringContaining('GITHUB_API_VERSION') });
});

test('a repository that was transferred is a dead letter that names the new owner', () => {
  expect(classify({ kind: 'moved', owner: 'Digdir' }, REPO, NOW)).toMatchObject({
    ...{ kind: 'dead', code: '301', message: expect.stringContaining('now belongs to Digdir') },
    hint: expect.stringMatching(/Correct dispatch_repo.*ALLOWED_OWNERS/),
  });
});

describe('a dead letter says what to do about it', () => {
  test.each<[number, string, RegExp]>([
    [
      404,
      'Not Found',
      /not installed on Altinn\/dialogporten.*dispatch_repo.*an owner of the organization.*press Retry/,
    ],
    [
      403,
      'Resource not accessible by integration',
      /Ask the operators.*permission "Contents: read and write".*press Retry/,
    ],
    [403, 'This installation has been suspended', /suspended.*can unsuspend it.*press Retry/],
    [
      403,
      'Repository was archived so is read-only.',
      /^Altinn\/dialogporten is archived.*Unarchive.*press Retry/,
    ],
    [410, 'Gone', /Altinn\/dialogporten is gone.*press Retry/],
    [422, 'Validation Failed', /Correct the Alert.*remove this dead letter/],
    [400, 'Problems parsing JSON', /its message says why.*ask the operators.*press Retry/],
  ])('%i %s', (status, message, hint) => {
    const dead = verdict(status, { message });
    if (dead.kind !== 'dead') throw new Error(`it is ${dead.kind}`);
    expect(dead.hint).toMatch(hint);
    // What the answer to a repeat has room for.
    expect(`${dead.message}. ${dead.hint}`.length).toBeLessThan(500);
  });
});

describe('a rate limit pauses the queue, and uses up no attempt', () => {
  const reset = String((NOW + 20 * MINUTE) / SECONDS);
  const exhausted = { 'x-ratelimit-remaining': '0' };
  const secondary = 'You have exceeded a secondary rate limit';
  const primary = 'API rate limit exceeded for installation';

  test.each<[string, number, Answer, 'primary' | 'secondary', number | undefined]>([
    ['429 bare: it does not say how long', 429, {}, 'secondary', undefined],
    ['Retry-After in seconds', 429, { headers: { 'retry-after': '60' } }, 'secondary', MINUTE],
    ['Retry-After as a number', 403, { headers: { 'retry-after': 60 } }, 'secondary', MINUTE],
    [
      'Retry-After as a date',
      403,
      { headers: { 'retry-after': 'Thu, 05 Mar 2026 12:05:00 GMT' } },
      'secondary',
      5 * MINUTE,
    ],
    [
      'Retry-After as a date that is over',
      403,
      { headers: { 'retry-after': 'Thu, 05 Mar 2026 11:00:00 GMT' } },
      'secondary',
      SECONDS,
    ],
    ['Retry-After that is neither', 429, { headers: { 'retry-after': 'soon' } }, 'secondary', undefined],
    ['its message alone', 403, { message: secondary }, 'secondary', undefined],
    // A second more, as the header names whole seconds.
    [
      'no calls left, until the reset',
      403,
      { headers: { ...exhausted, 'x-ratelimit-reset': reset }, message: primary },
      'primary',
      20 * MINUTE + SECONDS,
    ],
    [
      'the same as 429',
      429,
      { headers: { ...exhausted, 'x-ratelimit-reset': reset }, message: primary },
      'primary',
      20 * MINUTE + SECONDS,
    ],
    [
      'no calls left, the reset is over',
      403,
      { headers: { ...exhausted, 'x-ratelimit-reset': '1' } },
      'primary',
      SECONDS,
    ],
    ['no calls left, without a reset', 403, { headers: exhausted }, 'primary', undefined],
    [
      'Retry-After goes before the reset',
      403,
      { headers: { ...exhausted, 'x-ratelimit-reset': reset, 'retry-after': '30' } },
      'primary',
      30 * SECONDS,
    ],
    [
      'a reset counts only where no calls are left',
      429,
      { headers: { 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': reset } },
      'secondary',
      undefined,
    ],
    ['for the token', 403, { message: secondary, call: 'token' }, 'secondary', undefined],
  ])('%s', (_, status, answer, kind, waitMs) => {
    expect(verdict(status, answer)).toMatchObject({
      kind: 'pause',
      code: String(status),
      limit: { kind, waitMs },
    });
  });

  test.each<[number, string, string]>([
    [204, '', 'delivered'],
    [502, '', 'retry'],
    [401, '', 'retry'],
    [404, 'Not Found', 'dead'],
    [404, 'Integration not found', 'retry'],
    [422, '', 'dead'],
  ])(
    'no calls left on %i %s pauses before the 403 comes, next to what it means itself',
    (status, message, kind) => {
      const headers = { ...exhausted, 'x-ratelimit-reset': reset };
      expect(verdict(status, { headers, message })).toMatchObject({
        kind,
        limit: { kind: 'primary', waitMs: 20 * MINUTE + SECONDS },
      });
    },
  );

  test('calls left pause nothing', () => {
    const headers = { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': reset };
    expect(verdict(204, { headers })).toEqual({ kind: 'delivered', code: '204', limit: undefined });
  });
});
