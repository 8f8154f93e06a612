import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PROCESS_VARIABLES, parseEnvironment } from '@flux-dispatch/runtime/env';
import { runProcess } from '@flux-dispatch/runtime/process';
import { address, matching, mountedFile } from '@flux-dispatch/runtime/variable';
import { startGitHubStub } from './stub.ts';

const { LOG_LEVEL, SHUTDOWN_TIMEOUT } = PROCESS_VARIABLES;

const parsed = parseEnvironment(
  {
    LOG_LEVEL,
    SHUTDOWN_TIMEOUT,
    LISTEN_ADDR: address.prefault('127.0.0.1:9999'),
    GITHUB_APP_ID: matching(/^\d{1,15}$/, "the GitHub App's id, a number"),
    /** The App's public key, or the private key that it is a part of. */
    GITHUB_KEY_PATH: mountedFile(content => {
      try {
        publicKey(content);
      } catch {
        throw new Error('is not a key in PEM form');
      }
    }),
  },
  process.env,
);

function publicKey(content: Buffer): string {
  return createPublicKey(content).export({ type: 'spki', format: 'pem' }).toString();
}

await runProcess('github-stub', parsed, async ({ config, log, stack }) => {
  const { host, port } = config.LISTEN_ADDR;
  const stub = await startGitHubStub({
    appId: config.GITHUB_APP_ID,
    publicKeys: [publicKey(readFileSync(config.GITHUB_KEY_PATH))],
    port,
    host: host ?? '0.0.0.0',
  });
  stack.use(stub);
  log.info({ url: stub.url }, 'Listening');
});
