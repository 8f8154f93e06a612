import { parseArgs } from 'node:util';
import { runDemo } from './demo.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const fail = (line: string): never => {
  process.stderr.write(`${line}\n`);
  process.exit(1);
};

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // What has been started goes down with this process, also when it does not wait for it.
    if (interruption.signal.aborted) process.exit(130);
    interruption.abort();
  });
}

try {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } });
  const good = await runDemo({
    redisUrl: process.env['REDIS_URL'],
    path: process.env['PATH'],
    once: values.once,
    interrupted: interruption.signal,
    print,
  });
  process.exitCode = good ? 0 : 1;
} catch (error) {
  if (interruption.signal.aborted) process.exit(130);
  fail(`The demo failed: ${(error as Error).message}`);
}
