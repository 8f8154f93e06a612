import { readFileSync } from 'node:fs';
import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { httpUrl, mountedFile } from '@flux-dispatch/runtime/variable';
import { runScenario } from './run-scenario.ts';

// Runs the scenario on a system that is up already, with a stand-in for GitHub: docker-compose.yml.
const parsed = parseEnvironment(
  { EVENTS_URL: httpUrl, HMAC_TOKEN_PATH: mountedFile(), GITHUB_API_URL: httpUrl },
  process.env,
);

try {
  if (!parsed.ok) throw new Error(parsed.faults.map(({ message }) => message).join('; '));
  const { EVENTS_URL: eventsUrl, GITHUB_API_URL: githubUrl, HMAC_TOKEN_PATH: tokenPath } = parsed.config;
  const token = readFileSync(tokenPath, 'utf8');
  const { report, succeeded } = await runScenario({ eventsUrl, githubUrl, token });
  process.stdout.write(`${report}\n`);
  process.exitCode = succeeded ? 0 : 1;
} catch (error) {
  const { message, cause } = error as Error;
  process.stderr.write(
    `The events cannot be sent: ${[message, (cause as Error)?.message].join(' ').trim()}\n`,
  );
  process.exitCode = 1;
}
