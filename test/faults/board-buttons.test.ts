import { dispatchJob } from '@flux-dispatch/queue/dispatch-queue';
import { BROWSERS, launchBrowser } from '@flux-dispatch/testbed/browser';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { testDispatch } from '../support/a-dispatch.ts';
import { type BoardAlone, openBoard } from '../support/board.ts';
import { addDeadLetters, addReceipts, testRun } from '../support/board-data.ts';

const HOSTILE = '<img src=x onerror="window.hacked = true">';
const FINDING = `No workflow listens to flux-deploy. ${HOSTILE}`;

// On a busy machine a page takes many seconds.
const MANY_PAGES_MS = 600_000;

const stack = new AsyncDisposableStack();
let s: BoardAlone;
let browser: Browser | undefined;
/** The ids of a dead letter, a dispatch that waits, and a receipt in each state. */
let ids: Record<'dead' | 'dispatch' | 'failed' | 'completed' | 'delayed' | 'waiting', string>;

beforeAll(async () => {
  const launched = await launchBrowser(inject('path'));
  if (!launched) return;
  browser = stack.adopt(launched, b => b.close());
  s = stack.use(await openBoard(inject('redisUrl')));
  const [dead, later] = [testDispatch(), testDispatch({ repo: `Altinn/${HOSTILE}` })];
  await addDeadLetters(s.queues, [dead]);
  const { name, data, opts } = dispatchJob(later, { priority: 1, delayMs: 1e9 });
  await s.queues.dispatches.add(name, data, opts);
  const runs = [testRun({ workflow: HOSTILE }), testRun({ id: 2, url: 'javascript:window.hacked=true' })];
  const [failed = '', completed = '', delayed = '', waiting = ''] = await addReceipts(s.queues, [
    { state: 'failed', finding: FINDING, dispatch: testDispatch({ repo: `Altinn/${HOSTILE}` }) },
    { state: 'completed', runs },
    { state: 'delayed' },
    { state: 'waiting' },
  ]);
  const { dedup_id } = dead;
  ids = { dead: dedup_id, dispatch: later.payload.dispatch_id, failed, completed, delayed, waiting };
});
afterAll(() => stack.disposeAsync());

/** Opens a page of the board, where nothing asks for a confirmation. Without a browser the test is skipped. */
async function openPage(context: { skip: (note: string) => never }): Promise<Page> {
  if (!browser) {
    return context.skip(
      `no browser on the PATH (${BROWSERS.join(', ')}): install one, such as apt-get install chromium`,
    );
  }
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(60_000);
  await page.addInitScript(() => {
    const state = { confirmJobActions: false, confirmQueueActions: false, pollingInterval: 0 };
    localStorage.setItem('board-settings', JSON.stringify({ state, version: 2 }));
  });
  return page;
}

/** What would change something: its method and path. It never reaches the board, so nothing changes. */
async function recordChanges(page: Page): Promise<string[]> {
  const changes: string[] = [];
  await page.route('**/api/**', async route => {
    const request = route.request();
    if (request.method() === 'GET') return route.fallback();
    changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
    await route.fulfill({ status: 204 });
  });
  return changes;
}

const ACTIONS = '[class*="queueActions"] button:visible, [class*="jobActions"] button:visible';
const EVERY_BUTTON = 'main button:visible:not([role="tab"]), header [class*="infoButton"]:visible';

/**
 * Presses buttons of a page, and confirms what asks for it. A menu would have more to press: there is none.
 * @returns how many of them are there to change something
 */
async function pressAll(page: Page, path: string, selector = EVERY_BUTTON): Promise<number> {
  // It has nothing more to ask for: a page without an entry has nothing else that one could wait for.
  await page.goto(s.board.url + path, { waitUntil: 'networkidle' });
  expect(await page.locator(selector).and(page.locator('[aria-haspopup="menu"]')).count()).toBe(0);
  const actions = await page.locator(ACTIONS).count();
  const buttons = page.locator(selector);
  for (let n = 0; n < (await buttons.count()); n++) {
    await buttons.nth(n).click();
    await drawn(page);
    const confirmation = page.getByRole('button', { name: 'Confirm' });
    if (await confirmation.isVisible()) await confirmation.click();
    expect(await page.locator('[role="dialog"]:not([class*="toast"])').count()).toBe(0);
  }
  return actions;
}

/** Resolves when the page has shown what was pressed last, and has sent what follows from it. */
const drawn = (page: Page) =>
  page.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))');

/** Those that the board would answer with 405: asks a board that carries nothing out. */
async function refused(changes: readonly string[]): Promise<string[]> {
  const readOnly = await s.system.startBoard({ BOARD_READ_ONLY: 'true' });
  const wrong: string[] = [];
  for (const change of changes) {
    const [method = '', path = ''] = change.split(' ');
    const { status } = await fetch(readOnly.url + path, { method });
    if (status !== 403) wrong.push(`${change}: ${status}`);
  }
  return wrong.sort();
}

test(
  'no button leads to a 405, on any page',
  async context => {
    const page = await openPage(context);
    const changes = await recordChanges(page);
    const tabs = ['latest', 'failed', 'completed', 'delayed', 'waiting'];
    const paths = [
      '/',
      ...tabs.map(tab => `/queue/Runs?status=${tab}`),
      ...['/queue/Dead%20letters?status=latest', '/queue/Dead%20letters?status=failed'],
      '/queue/Dispatches?status=delayed',
      // Without a tab, as they are linked from elsewhere.
      `/queue/Dead%20letters/${ids.dead}`,
      `/queue/Dispatches/${ids.dispatch}`,
      ...(['failed', 'completed', 'delayed', 'waiting'] as const).map(state => `/queue/Runs/${ids[state]}`),
    ];
    let actions = 0;
    for (const path of paths) actions += await pressAll(page, path);
    // None of them does something else, such as to open a form.
    expect(actions).toBe(changes.length);
    expect([...new Set(changes)].sort()).toEqual([
      `PUT /api/queues/Dead%20letters/${ids.dead}/clean`,
      `PUT /api/queues/Dead%20letters/${ids.dead}/retry`,
      'PUT /api/queues/Dead%20letters/retry/failed',
      `PUT /api/queues/Runs/${ids.failed}/retry`,
    ]);
    expect(await refused(changes)).toEqual([]);
  },
  MANY_PAGES_MS,
);

test('the same pages without the stylesheet do lead there, so that the test above sees something', async context => {
  const page = await openPage(context);
  const changes = await recordChanges(page);
  await page.route('**/static/board.*.css', route => route.abort());
  const acting = '[class*="queueActions"] button, [class*="jobActions"] li:last-child button';
  await pressAll(page, '/queue/Dead%20letters?status=failed', acting);
  await pressAll(page, '/queue/Runs?status=delayed', acting);
  expect(await refused(changes)).toEqual(
    [
      'PUT /api/queues/Dead%20letters/clean/failed: 405',
      `PUT /api/queues/Runs/${ids.delayed}/clean: 405`,
      'PUT /api/queues/Runs/clean/delayed: 405',
      'PUT /api/queues/Runs/promote: 405',
    ].sort(),
  );
});

test('a read-only board has no button that changes something', async context => {
  const page = await openPage(context);
  const changes = await recordChanges(page);
  const { url } = await s.system.startBoard({ BOARD_READ_ONLY: 'true' });
  for (const path of ['/queue/Dead%20letters?status=failed', '/queue/Runs?status=failed']) {
    await page.goto(url + path);
    await page.locator('main [class*="jobLink"]').first().waitFor();
    await drawn(page);
    expect(await page.locator(ACTIONS).count()).toBe(0);
  }
  expect(changes).toEqual([]);
});

test('a queue opens on what failed, has one name everywhere, and its receipts link to their runs', async context => {
  const page = await openPage(context);
  await page.goto(s.board.url);
  const menu = page.locator('aside');
  await menu.getByText('Dispatches').waitFor();
  expect(await menu.locator('nav a').allInnerTexts()).toEqual(['Dead letters', 'Runs', 'Dispatches']);
  await menu.getByText('Runs').click();
  await page.waitForURL(/\/queue\/Runs\?status=failed$/);
  await page.getByText('No workflow listens to flux-deploy').first().waitFor();
  expect(await page.locator('main [class*="jobLink"]').count()).toBe(1);
  await page.goto(`${s.board.url}/queue/Runs/${ids.completed}?status=completed`);
  await page.getByRole('link', { name: 'Runs', exact: true }).last().waitFor();
  const link = page.locator('a[target="_blank"]', { hasText: 'success' });
  expect(await link.getAttribute('href')).toBe(testRun().url);
  // Nowhere the names that the queues have in Redis.
  for (const path of ['/', '/queue/Runs', `/queue/Runs/${ids.failed}`, `/queue/Dead%20letters/${ids.dead}`]) {
    await page.goto(s.board.url + path);
    await page.locator('main section').first().waitFor();
    await drawn(page);
    expect(await page.locator('body').innerText()).not.toMatch(/dispatch-(?:receipt|dead-letter)/);
  }
});

test('an operator enters the id of a dispatch and is led to it', async context => {
  const page = await openPage(context);
  await page.goto(s.board.url);
  const field = page.getByRole('searchbox', { name: 'Find a dispatch by its id' });
  await field.fill(` ${ids.failed} `);
  await field.press('Enter');
  await page.waitForURL(`${s.board.url}/queue/Runs/${ids.failed}?status=failed`);
  await page.getByRole('link', { name: 'Runs', exact: true }).last().waitFor();
  await field.fill('nowhere');
  await page.getByRole('button', { name: 'Find' }).click();
  await page.getByRole('heading', { name: 'No dispatch has this id' }).waitFor();
  await page.getByRole('searchbox').fill(ids.dispatch);
  await page.getByRole('searchbox').press('Enter');
  await page.waitForURL(`${s.board.url}/queue/Dispatches/${ids.dispatch}?status=delayed`);
});

test('text from GitHub and from the cluster stays text', async context => {
  const page = await openPage(context);
  for (const path of [
    '/queue/Runs?status=failed',
    '/queue/Runs?status=completed',
    `/queue/Runs/${ids.failed}`,
    `/queue/Runs/${ids.completed}`,
    `/runs/${ids.completed}`,
    `/queue/Dispatches/${ids.dispatch}`,
    `/find/${encodeURIComponent(HOSTILE)}`,
  ]) {
    await page.goto(s.board.url + path);
    await page.getByText('<img src=x').first().waitFor();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    expect(await page.locator('a[href^="javascript:"]').count()).toBe(0);
    expect(await page.evaluate('"hacked" in window')).toBe(false);
  }
});
