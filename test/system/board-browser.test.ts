import { join } from 'node:path';
import { startGitHubStub } from '@flux-dispatch/github-stub/stub';
import { BROWSERS, launchBrowser } from '@flux-dispatch/testbed/browser';
import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { fluxEvent, ociRevision, postEvent } from '@flux-dispatch/testbed/flux';
import { startSystem } from '@flux-dispatch/testbed/system';
import { until } from '@flux-dispatch/testbed/until';
import type { Page } from 'playwright-core';
import { expect, inject, test } from 'vitest';
import { UNHURRIED } from '../support/unhurried.ts';

/** Saves what the page shows where screenshots are wanted. */
async function screenshot(page: Page, name: string): Promise<void> {
  const folder = inject('screenshots');
  if (folder !== '') await page.screenshot({ path: join(folder, `${name}.png`) });
}

const DEPLOYMENTS = [
  {
    repo: 'Altinn/correspondence',
    env: 'tt02',
    namespace: 'product-correspondence',
    status: 422,
    message: 'Validation Failed',
  },
  {
    repo: 'Altinn/dialogporten',
    env: 'at23',
    namespace: 'product-dialogporten',
    status: 404,
    message: 'Not Found',
  },
] as const;

test('an operator signs in, reads a dead letter, presses Retry, and it is delivered', async context => {
  await using stack = new AsyncDisposableStack();
  const launched = await launchBrowser(inject('path'));
  if (launched === undefined) {
    context.skip(
      `no browser on the PATH (${BROWSERS.join(', ')}): install one, such as apt-get install chromium`,
    );
    return;
  }
  const browser = stack.adopt(launched, b => b.close());
  const credentials = stack.use(await createCredentials());
  const stub = stack.use(await startGitHubStub(credentials.stub));
  stub.setFaults(
    DEPLOYMENTS.map(({ repo, status, message }) => ({
      match: { method: 'POST', repo },
      action: { status, body: { message } },
    })),
  );
  const system = stack.use(
    await startSystem({
      redisUrl: inject('redisUrl'),
      githubUrl: stub.url,
      credentials,
      env: UNHURRIED,
    }),
  );
  const password = stack.use(await createCredentials('correct-horse'));
  const board = await system.startBoard({
    ...{ BOARD_AUTH: 'basic', BOARD_USERNAME: 'operator', BOARD_PASSWORD_PATH: password.tokenPath },
  });
  for (const { repo, env, namespace } of DEPLOYMENTS) {
    const metadata = {
      ...{ dispatch_repo: repo, env, product: repo.replace('Altinn/', '') },
      ...{
        revision: ociRevision(env, repo),
        originRevision: 'main@sha1:4f1c2d3e5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d',
      },
    };
    const name = `${metadata.product}-apps`;
    const event = fluxEvent({ namespace, name, metadata });
    expect((await postEvent(system.ingests[0]?.eventsUrl ?? '', event, credentials.token)).status).toBe(202);
    await until('it is a dead letter', () =>
      system.dispatchers[0]?.process.log().some(line => line['outcome'] === 'dead' && line['repo'] === repo),
    );
  }

  // Without signing in there is nothing to see.
  const stranger = await browser.newPage();
  stranger.setDefaultTimeout(60_000);
  await expect(stranger.goto(board.url)).rejects.toThrow(/ERR_INVALID_AUTH_CREDENTIALS/);

  const page = await browser.newPage({
    httpCredentials: { username: 'operator', password: 'correct-horse' },
    viewport: { width: 1280, height: 800 },
    colorScheme: 'light',
  });
  page.setDefaultTimeout(60_000);
  const failures: string[] = [];
  page.on(
    'response',
    response => response.status() >= 400 && failures.push(`${response.status()} ${response.url()}`),
  );
  // The web font that the page asks for elsewhere is refused on purpose.
  page.on('console', message => {
    if (message.type() === 'error' && !message.text().includes('fonts.googleapis.com'))
      failures.push(message.text());
  });
  page.on('pageerror', error => failures.push(error.message));
  await page.goto(board.url);
  await page.getByRole('link', { name: 'Dead letters' }).first().click();
  // It opens on what failed, where Retry all is.
  await page.waitForURL(/\/queue\/Dead%20letters\?status=failed$/);
  await page.getByRole('button', { name: 'Retry all' }).waitFor();
  await page.getByText('Altinn/dialogporten flux-deploy at23 ReconciliationSucceeded').waitFor();
  await page.getByText(/Altinn\/correspondence .*tt02/).waitFor();
  await page
    .getByText(/The GitHub App of flux-dispatch is not installed on Altinn\/dialogporten/)
    .first()
    .waitFor();
  await screenshot(page, 'board-dead-letters');

  // The newest comes first.
  await page
    .getByRole('link', { name: /^[0-9a-f]{64}$/ })
    .first()
    .click();
  await page.waitForURL(/\/queue\/Dead%20letters\/[0-9a-f]{64}/);
  await until('it stands alone', async () => (await page.getByText('hint:').count()) === 1);
  await page
    .getByText(/GitHub answered 404/)
    .first()
    .waitFor();
  await page.getByText('Loading the job flow').waitFor({ state: 'hidden' });
  await screenshot(page, 'board-dead-letter');

  // Up to here: the page goes on asking for the entry that Retry takes away.
  expect(failures).toEqual([]);

  stub.setFaults([]);
  // An icon, which says what it is when one points at it.
  const retry = page.locator('ul[class^="jobActions"] button:visible').first();
  await retry.hover();
  await page.getByText('Retry', { exact: true }).waitFor();
  await retry.click();
  await page.getByText('Are you sure that you want to retry this job?').waitFor();
  await page.getByRole('button', { name: 'Confirm' }).click();
  await until('it is at GitHub', () => stub.dispatches.length === 1);
  expect(stub.dispatches[0]).toMatchObject({ owner: 'Altinn', repo: 'dialogporten' });
  await page.goto(`${board.url}/queue/dispatch-dead-letter`);
  await page.getByText(/Altinn\/correspondence .*tt02/).waitFor();
  // The page asks again every few seconds: the entry goes once it has been redriven.
  await page.getByText(/Altinn\/dialogporten .*at23/).waitFor({ state: 'detached' });
});
