import { createCredentials } from '@flux-dispatch/testbed/credentials';
import { acquireRedis } from '@flux-dispatch/testbed/redis';
import { deadLetters } from './dead-letters.ts';
import { print } from './measure.ts';
import { claim, concurrency, repeats } from './throughput.ts';

// Machines differ and are noisy, so each figure is a ratio of two that were measured in this one run.

const path = process.env['PATH'] ?? '';
const redis = await acquireRedis({ redisUrl: process.env['REDIS_URL'], path });
const credentials = await createCredentials();
const bench = { redisUrl: redis.url, credentials, path };

print(`Ratios measured in one run, Redis from ${redis.origin}\n`);
await claim(bench);
await repeats(bench);
await concurrency(bench);
await deadLetters(bench);
await credentials[Symbol.asyncDispose]();
await redis[Symbol.asyncDispose]();
process.exit(0);
