import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { readFlags, wholeNumber } from '@flux-dispatch/testbed/flags';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { redisEnvironment } from '@flux-dispatch/testbed/test-redis';
import { measureDeadLetters } from './dead-letters.ts';
import { print } from './measure.ts';
import { measureObjects } from './objects.ts';
import { measureReceipts } from './receipts.ts';
import { measureClaim, measureConcurrency, measureRepeats } from './throughput.ts';

// Machines differ and are noisy, so each figure is a ratio of two measurements from the same run.

const USAGE = `Usage: npm run bench -- [--objects N]

  --objects N  how many objects report in the part about unchanged deployments (10000)
  --help       print this
`;
const flags = readFlags(USAGE, { objects: { type: 'string', default: '10000' } });
const objects = wholeNumber('objects', flags.objects, 1_000_000);
const path = process.env['PATH'] ?? '';
const redis = await acquireRedis({ given: redisEnvironment(process.env), urlAlone: true, path });
const credentials = await createCredentials();
const bench = { redisUrl: redis.url, credentials, path };

print(`Ratios measured in one run, Redis from ${redis.origin}\n`);
await measureClaim(bench);
await measureRepeats(bench);
await measureConcurrency(bench);
await measureReceipts(bench);
await measureDeadLetters(bench);
await measureObjects(bench, objects);
await credentials[Symbol.asyncDispose]();
await redis[Symbol.asyncDispose]();
process.exit(0);
