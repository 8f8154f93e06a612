import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { createFindDeadLetter } from '@flux-dispatch/queue/find-dead-letter';
import { newReceipt } from '@flux-dispatch/queue/receipt';
import { until } from '@flux-dispatch/testbed/until';
import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';
import { actionsOf, type BoardAlone, openBoard } from '../support/board.ts';
import { addDeadLetters, addReceipts, testRun } from '../support/board-data.ts';

const RECEIPTS = '/api/queues/dispatch-receipt';
const FINDING = 'No workflow of main listens to flux-deploy. Add it to types.';

const stack = new AsyncDisposableStack();
let s: BoardAlone;
beforeAll(async () => {
  s = stack.use(await openBoard(inject('redisUrl')));
});
afterAll(() => stack.disposeAsync());

const put = (path: string, headers: Record<string, string> = {}) =>
  s.request(path, { method: 'PUT', headers });

/** Adds a receipt that has failed. */
async function addFailed(dispatch?: Dispatch): Promise<string> {
  const wanted = { state: 'failed', finding: FINDING, ...(dispatch && { dispatch }) } as const;
  const [id = ''] = await addReceipts(s.queues, [wanted]);
  return id;
}

describe('Runs', () => {
  test('a page of receipts: what failed comes first, readable and with links', async () => {
    const failed = await addFailed();
    const runs = [testRun(), testRun({ id: 2, url: 'javascript:alert(1)' })];
    const [completed] = await addReceipts(s.queues, [{ state: 'completed', runs }]);
    const page = async (status: string) => {
      const answer = await s.request(`/api/queues?activeQueue=Runs&status=${status}`);
      const { queues } = (await answer.json()) as {
        queues: { name: string; statuses: string[]; jobs: Record<string, unknown>[] }[];
      };
      return queues.find(({ name }) => name === 'Runs');
    };
    const failures = await page('failed');
    expect(failures?.statuses[0]).toBe('failed');
    const shown = failures?.jobs.find(({ id }) => id === failed);
    expect(shown).toMatchObject({ failedReason: FINDING, data: { finding: FINDING } });
    expect(shown).not.toHaveProperty('externalUrl');
    // One of its two runs can be linked.
    expect((await page('completed'))?.jobs.find(({ id }) => id === completed)).toMatchObject({
      data: { run_1: { url: testRun().url, conclusion: 'success', match: 'exact' } },
      externalUrl: { href: testRun().url, displayText: 'Deploy: success' },
    });
  });

  test('a page of links where a dispatch has several runs, in which no text becomes HTML', async () => {
    const runs = [
      testRun({ workflow: '<img src=x onerror=alert(1)>' }),
      testRun({ id: 2, url: 'https://github.com/o/r/actions/runs/2?a="b', conclusion: 'failure' }),
    ];
    const [id] = await addReceipts(s.queues, [{ state: 'completed', runs }]);
    const answer = await s.request(`/runs/${id}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ]);
    const text = await answer.text();
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;: success');
    expect(text).not.toContain('<img');
    expect(text).toContain('href="https://github.com/o/r/actions/runs/2?a=&quot;b"');
    expect(text).toContain(`href="/queue/Runs/${id}?status=completed"`);
    expect((await s.request('/runs/unknown')).status).toBe(404);
  });

  test('Retry hands a failed receipt to the dispatcher once more, and the log says who did it', async () => {
    const id = await addFailed();
    expect((await put(`${RECEIPTS}/${id}/retry`)).status).toBe(204);
    expect(await s.queues.receipts.getJobState(id)).toBe('waiting');
    const action = await until('it is in the log', async () =>
      (await actionsOf(s.board, 1)).find(line => line['job_id'] === id),
    );
    expect(action).toMatchObject({
      ...{ level: 'info', outcome: 'done', status: 204, user: 'anonymous', action: 'retry' },
      ...{ queue: 'dispatch-receipt', dispatch_id: id },
    });
    // The one who comes second.
    expect((await put(`${RECEIPTS}/${id}/retry`)).status).toBe(400);
    await s.queues.receipts.remove(id);
  });

  test('what is refused', async () => {
    const failed = await addFailed();
    const others = await addReceipts(s.queues, [
      { state: 'completed', runs: [testRun()] },
      { state: 'delayed' },
    ]);
    for (const id of others) {
      const answer = await put(`${RECEIPTS}/${id}/retry`);
      expect([answer.status, await answer.json()]).toEqual([
        400,
        expect.objectContaining({ outcome: 'not_possible' }),
      ]);
    }
    for (const id of ['unknown', 'meta', 'failed']) {
      expect((await put(`${RECEIPTS}/${id}/retry`)).status).toBe(404);
    }
    for (const path of [`/${failed}/clean`, '/retry/failed', '/clean/failed', '/pause']) {
      expect([path, (await put(RECEIPTS + path)).status]).toEqual([path, 405]);
    }
    const crossSite = await put(`${RECEIPTS}/${failed}/retry`, { 'Sec-Fetch-Site': 'cross-site' });
    expect([crossSite.status, await crossSite.json()]).toEqual([
      403,
      expect.objectContaining({ outcome: 'cross_site' }),
    ]);
    const readOnly = await s.system.startBoard({ BOARD_READ_ONLY: 'true' });
    const answer = await fetch(`${readOnly.url}${RECEIPTS}/${failed}/retry`, { method: 'PUT' });
    expect([answer.status, await answer.json()]).toEqual([
      403,
      expect.objectContaining({ outcome: 'read_only' }),
    ]);
    expect(await s.queues.receipts.getJobState(failed)).toBe('failed');
  });
});

describe('a dispatch is found by its id', () => {
  const find = async (path: string) => {
    const { status, headers } = await s.request(path);
    return { status, location: headers.get('location') };
  };
  const idOf = ({ payload }: Dispatch) => payload.dispatch_id;
  const at = (location: string) => ({ status: 302, location });

  test('on its way', async () => {
    const dispatch = testDispatch();
    const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
    await s.queues.dispatches.add(name, data, opts);
    const url = `/queue/Dispatches/${idOf(dispatch)}?status=prioritized`;
    expect(await find(`/find/${idOf(dispatch)}`)).toEqual(at(url));
    // As the form sends it, with what else was copied.
    expect(await find(`/find?id=+${idOf(dispatch)}%0A`)).toEqual(at(url));
    await s.queues.dispatches.remove(idOf(dispatch));
  });

  test('dead, by its own id and by that of its dead letter', async () => {
    const dispatch = testDispatch();
    await addDeadLetters(s.queues, [dispatch]);
    const url = `/queue/Dead%20letters/${dispatch.dedup_id}?status=failed`;
    expect(await find(`/find/${idOf(dispatch)}`)).toEqual(at(url));
    expect(await find(`/find/${dispatch.dedup_id}`)).toEqual(at(url));
  });

  test('delivered, with its receipt in any state', async () => {
    const states = ['failed', 'completed', 'delayed', 'waiting'] as const;
    const ids = await addReceipts(
      s.queues,
      states.map(state => ({ state, finding: FINDING })),
    );
    for (const [n, state] of states.entries()) {
      expect(await find(`/find/${ids[n]}`)).toEqual(at(`/queue/Runs/${ids[n]}?status=${state}`));
    }
  });

  test('delivered, sent again by an operator, and dead since: the dead letter, which needs one', async () => {
    const dispatch = testDispatch();
    await addFailed(dispatch);
    await addDeadLetters(s.queues, [dispatch]);
    const url = `/queue/Dead%20letters/${dispatch.dedup_id}?status=failed`;
    expect(await find(`/find/${idOf(dispatch)}`)).toEqual(at(url));
  });

  test('delivered, and a later dispatch of the same deployment is dead: its own receipt', async () => {
    const dispatch = testDispatch();
    await addFailed(dispatch);
    await addDeadLetters(s.queues, [testDispatch({ dedup_id: dispatch.dedup_id })]);
    const url = `/queue/Runs/${idOf(dispatch)}?status=failed`;
    expect(await find(`/find/${idOf(dispatch)}`)).toEqual(at(url));
  });

  test('delivered, without a receipt', async () => {
    const dispatch = testDispatch();
    const { name, data, opts } = dispatchJob(dispatch, { priority: 1 });
    const { dispatches, redis } = s.queues;
    const worker = new Worker(dispatches.name, async () => {}, {
      connection: redis,
      prefix: s.system.prefix,
    });
    await dispatches.add(name, data, opts);
    await until('it is delivered', async () => (await dispatches.getCompletedCount()) === 1);
    await worker.close();
    const url = `/queue/Dispatches/${idOf(dispatch)}?status=completed`;
    expect(await find(`/find/${idOf(dispatch)}`)).toEqual(at(url));
  });

  test.each([
    ['an id', '/find/0b9f', '0b9f'],
    ['a key of the queue', '/find?id=meta', 'meta'],
    ['HTML', '/find/%3Cimg%20src=x%20onerror=alert(1)%3E', '&lt;img src=x onerror=alert(1)&gt;'],
    ['a long text', `/find/${'a'.repeat(5000)}`, 'aaa'],
  ])('nowhere: %s is answered with what to do', async (_, path, shown) => {
    const answer = await s.request(path);
    const text = await answer.text();
    expect(answer.status).toBe(404);
    expect(text).toContain(shown);
    expect(text).toContain('Search the logs');
    expect(text).not.toContain('<img');
  });

  test('among dead letters the newest are searched, and it is said where there are more', async () => {
    await using other = await openBoard(inject('redisUrl'));
    const { queues } = other;
    const dispatches = Array.from({ length: 6 }, () => testDispatch());
    await addDeadLetters(queues, dispatches);
    const [oldest, second, third] = dispatches as [Dispatch, Dispatch, Dispatch];
    const search = createFindDeadLetter(queues.redis, queues.deadLetters, { atOnce: 2, most: 4 });
    expect(await search(idOf(third), undefined)).toEqual({ kind: 'found', entryId: third.dedup_id });
    expect(await search(idOf(second), undefined)).toEqual({ kind: 'not_among_newest', lookedAt: 4 });
    // Whoever knows the dedup id need not search.
    expect(await search(idOf(oldest), oldest.dedup_id)).toEqual({ kind: 'found', entryId: oldest.dedup_id });
    const all = createFindDeadLetter(queues.redis, queues.deadLetters, { atOnce: 2, most: 6 });
    expect(await all('unknown', undefined)).toEqual({ kind: 'absent' });
  });
});

test('a receipt that is none is shown as it is', async () => {
  const { name } = newReceipt(testDispatch(), Date.now());
  const data = { elsewhere: true } as never;
  await s.queues.receipts.add(name, data, { jobId: 'odd', delay: 1e9 });
  const answer = await s.request(`${RECEIPTS}/odd`);
  expect(await answer.json()).toMatchObject({ status: 'delayed', job: { data } });
});
