import { describe, expect, test } from 'vitest';
import { pass, setUpDoors } from '../../test/support/door.ts';
import { type ListedRuns, type RunListing, reachesBackTo, runsOf } from './runs.ts';

const REPO = 'Altinn/dialogporten';
const RUNS = `GET /repos/${REPO}/actions/runs`;
const { openDoor } = setUpDoors();

/** The calls for runs among others, with their queries. */
const listings = (calls: readonly string[]) => calls.filter(call => call.startsWith(RUNS));

function listed(answer: ListedRuns): RunListing {
  if (answer.kind !== 'listed') throw new Error(JSON.stringify(answer));
  return answer.listing;
}

const always = async () => true;

describe('the runs of a repository', () => {
  test('are read with their titles, times and conclusions', async () => {
    await using door = await openDoor();
    door.stub.setActions({ runs: { durationMs: 0, conclusion: 'failure' } });
    const since = Date.now() - 5000;
    await door.attempt(REPO);
    const listing = listed(await door.github.listRuns(REPO, since, undefined, always));
    const [run] = door.stub.runs;
    expect(runsOf(listing)).toEqual([
      {
        ...{
          id: run?.id,
          workflow_id: expect.any(Number),
          workflow: run?.workflow,
          title: run?.display_title,
        },
        ...{ status: 'completed', conclusion: 'failure', created_at: Date.parse(run?.created_at ?? '') },
        updated_at: Date.parse(run?.updated_at ?? ''),
        url: `https://github.com/${REPO}/actions/runs/${run?.id}`,
      },
    ]);
    const created = encodeURIComponent(`>=${new Date(since).toISOString().slice(0, 19)}Z`);
    expect(listings(door.calls())).toEqual([
      `${RUNS}?event=repository_dispatch&per_page=100&page=1&created=${created}`,
    ]);
  });

  test('older ones are left out', async () => {
    await using door = await openDoor();
    await door.attempt(REPO);
    pass(60_000);
    expect(runsOf(listed(await door.github.listRuns(REPO, Date.now(), undefined, always)))).toEqual([]);
  });

  test('what has not changed is not sent again', async () => {
    await using door = await openDoor();
    const since = Date.now() - 5000;
    await door.attempt(REPO);
    pass(5000);
    const first = listed(await door.github.listRuns(REPO, since, undefined, always));
    // As it comes back from Redis.
    const stored = JSON.parse(JSON.stringify(first)) as RunListing;
    const second = listed(await door.github.listRuns(REPO, since, stored, always));
    expect(second).toEqual(stored);
    expect(door.stub.requests.get('GET /repos/{owner}/{repo}/actions/runs 304')).toBe(1);

    await door.attempt(REPO);
    expect(runsOf(listed(await door.github.listRuns(REPO, since, stored, always)))).toHaveLength(2);
    // Another time is another list.
    await door.github.listRuns(REPO, since - 60_000, stored, always);
    expect(door.stub.requests.get('GET /repos/{owner}/{repo}/actions/runs 200')).toBe(3);
  });

  test('of several pages, three at most, and a list that is cut says so', async () => {
    await using door = await openDoor();
    const since = Date.now() - 5000;
    for (let n = 0; n < 310; n++) await door.attempt(REPO);
    const listing = listed(await door.github.listRuns(REPO, since, undefined, always));
    expect(listing.pages.map(({ runs }) => runs.length)).toEqual([100, 100, 100]);
    expect(new Set(runsOf(listing).map(({ id }) => id)).size).toBe(300);
    const oldest = Math.min(...runsOf(listing).map(({ created_at }) => created_at));
    expect(reachesBackTo(listing, oldest + 1000)).toBe(true);
    expect(reachesBackTo(listing, oldest)).toBe(false);
  });
});

describe('a list that reaches back', () => {
  const page = (total: number, ...times: number[]) =>
    ({
      total,
      runs: times.map(created_at => ({ id: created_at, created_at })),
    }) as unknown as RunListing['pages'][number];

  test.each([
    ['has all runs since', { since: 100, pages: [page(1, 200)] }, 100, true],
    ['has no runs at all', { since: 100, pages: [page(0)] }, 150, true],
    ['began later', { since: 100, pages: [page(1, 200)] }, 99, false],
    ['is cut, but not before', { since: 100, pages: [page(400, 200, 150)] }, 160, true],
    ['is cut before', { since: 100, pages: [page(400, 200, 150)] }, 140, false],
  ])('%s', (_, listing, time, expected) => {
    expect(reachesBackTo(listing, time)).toBe(expected);
  });
});

test('a run that is on two pages is one run', () => {
  const run = (id: number) =>
    ({ id, created_at: id }) as unknown as RunListing['pages'][number]['runs'][number];
  const pages = [
    { total: 3, runs: [run(3), run(2)] },
    { total: 3, runs: [run(2), run(1)] },
  ];
  expect(runsOf({ since: 0, pages }).map(({ id }) => id)).toEqual([3, 2, 1]);
});

describe('no list', () => {
  test.each([
    ['500', { status: 500 }, { kind: 'failed', message: expect.stringContaining('500') }],
    [
      'a page of a proxy',
      { status: 200, body: '<html>' },
      { kind: 'failed', message: expect.stringContaining('proxy') },
    ],
    [
      '429',
      { status: 429, headers: { 'retry-after': '7' } },
      { kind: 'limited', limit: { kind: 'secondary', waitMs: 7000 } },
    ],
    [
      '404',
      { status: 404, body: { message: 'Not Found' } },
      { kind: 'unlisted', message: expect.stringContaining('404') },
    ],
    [
      '403 for the permission',
      { status: 403, body: { message: 'Resource not accessible by integration' } },
      { kind: 'forbidden', message: expect.stringContaining('not accessible') },
    ],
    [
      '403 for a suspended installation',
      { status: 403, body: { message: 'This installation has been suspended' } },
      { kind: 'failed', message: expect.stringContaining('suspended') },
    ],
    [
      '403 for this repository',
      { status: 403, body: { message: 'Actions has been disabled for this repository.' } },
      { kind: 'unlisted', message: expect.stringContaining('disabled') },
    ],
    [
      'a dropped connection',
      { drop: true as const },
      { kind: 'failed', message: expect.stringContaining('reached') },
    ],
  ])('%s', async (_, action, expected) => {
    await using door = await openDoor();
    door.stub.setFaults([{ match: { path: '^/repos/.*/actions/runs' }, action }]);
    expect(await door.github.listRuns(REPO, Date.now(), undefined, always)).toEqual(expected);
  });

  test('where the App is not installed', async () => {
    await using door = await openDoor();
    expect(await door.github.listRuns('Nowhere/app', Date.now(), undefined, always)).toMatchObject({
      kind: 'unlisted',
    });
  });

  test('where the caller stands back', async () => {
    await using door = await openDoor();
    expect(await door.github.listRuns(REPO, Date.now(), undefined, async () => false)).toEqual({
      kind: 'held',
    });
    expect(door.calls()).toEqual([]);
  });
});

test('what is left of the hourly limit is that of the installation, by owner, until it is over', async () => {
  let time = 0;
  await using door = await openDoor({ now: () => time });
  expect(door.github.quota(REPO)).toBeUndefined();
  door.stub.setRateLimit({ limit: 10, windowMs: 60_000 });
  await door.attempt(REPO);
  // The token was the App's own call.
  const quota = door.github.quota('altinn/other');
  expect(quota?.left).toBe(0.9);
  expect(quota?.resetInMs).toBeGreaterThan(50_000);
  expect(door.github.quota('Digdir/other')).toBeUndefined();
  time = 62_001;
  expect(door.github.quota(REPO)).toBeUndefined();
});
