import { readFileSync } from 'node:fs';
import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { httpUrl, matching, mountedFile } from '@flux-dispatch/runtime/variable';
import { runScenario } from './run-scenario.ts';

// Runs the scenario on a system that is up already, with a stand-in for GitHub: docker-compose.yml.
const parsed = parseEnvironment(
  {
    ...{ EVENTS_URL: httpUrl, HMAC_TOKEN_PATH: mountedFile(), GITHUB_API_URL: httpUrl },
    ...{ BOARD_URL: httpUrl, BOARD_USERNAME: matching(/./, 'a name'), BOARD_PASSWORD_PATH: mountedFile() },
  },
  process.env,
);

try {
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('; '));
  const { EVENTS_URL: eventsUrl, GITHUB_API_URL: githubUrl, HMAC_TOKEN_PATH: tokenPath } = parsed.config;
  const token = readFileSync(tokenPath, 'utf8');
  const { BOARD_URL: boardUrl, BOARD_USERNAME: user, BOARD_PASSWORD_PATH: passwordPath } = parsed.config;
  const password = readFileSync(passwordPath, 'utf8').trimEnd();
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const { report, succeeded } = await runScenario({ eventsUrl, githubUrl, token, boardUrl, authorization });
  process.stdout.write(`${report}\n`);
  process.exitCode = succeeded ? 0 : 1;
} catch (error) {
  const { message, cause } = error as Error;
  process.stderr.write(
    `The events cannot be sent: ${[message, (cause as Error)?.message].join(' ').trim()}\n`,
  );
  process.exitCode = 1;
}
