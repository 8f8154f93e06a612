import { generateKeyPair, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lifeline } from './lifeline.ts';

export interface Credentials extends AsyncDisposable {
  /** What Flux signs with, and the file that ingest reads it from. */
  readonly token: string;
  readonly tokenPath: string;
  readonly appId: string;
  /** What GitHub, or a stand-in for it, knows of the App. */
  readonly stub: { readonly appId: string; readonly publicKeys: readonly string[] };
  readonly privateKeyPath: string;
}

const APP_ID = '12345';

/** A token for Flux and a GitHub App's key, both made anew. */
export async function createCredentials(token = randomBytes(16).toString('hex')): Promise<Credentials> {
  const folder = await mkdtemp(join(tmpdir(), 'flux-dispatch-credentials-'));
  const orphan = lifeline('rm', '-rf', folder);
  const tokenPath = join(folder, 'token');
  const privateKeyPath = join(folder, 'private-key.pem');
  const { publicKey, privateKey } = await createAppKey();
  await writeFile(tokenPath, token, { mode: 0o600 });
  await writeFile(privateKeyPath, privateKey, { mode: 0o600 });
  return {
    token,
    tokenPath,
    appId: APP_ID,
    stub: { appId: APP_ID, publicKeys: [publicKey] },
    privateKeyPath,
    async [Symbol.asyncDispose]() {
      await rm(folder, { recursive: true, force: true });
      orphan[Symbol.dispose]();
    },
  };
}

/** A GitHub App's key, made anew, in the form in which GitHub hands keys out (PEM). */
export function createAppKey(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
}
