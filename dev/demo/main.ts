import { readFlags } from '@flux-dispatch/testbed/flags';
import { redisEnvironment } from '@flux-dispatch/testbed/test-redis';
import { runDemo } from './demo.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const fail = (line: string): never => {
  process.stderr.write(`${line}\n`);
  process.exit(1);
};

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // The second time: exit at once. What was started ends with this process.
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
}

const USAGE = `Usage: npm run demo -- [--once]

Starts ingest, dispatcher, board, a Redis and a stand-in for GitHub, sends events, and shows what becomes of each.

  --once  end after that, with exit code 0 only if everything went as it should
  --help  print this
`;
const { once } = readFlags(USAGE, { once: { type: 'boolean', default: false } });

try {
  const succeeded = await runDemo({
    given: redisEnvironment(process.env),
    path: process.env['PATH'],
    once,
    interrupted: interruption.signal,
    print,
  });
  process.exitCode = succeeded ? 0 : 1;
} catch (error) {
  if (interruption.signal.aborted) process.exit(130);
  fail(`The demo failed: ${(error as Error).message}`);
}
