import { createPrivateKey } from 'node:crypto';

/**
 * Reads a GitHub App's private key, in the PKCS #1 form in which GitHub hands it out or in PKCS #8, and returns it as
 * PKCS #8 PEM.
 * @throws with a message that does not repeat any of the key.
 */
export function parsePrivateKey(content: Buffer): string {
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(content);
  } catch {
    throw new Error('is not a private key in PEM form: download one from the settings of the GitHub App');
  }
  if (key.asymmetricKeyType !== 'rsa') {
    throw new Error(`is a key of type ${key.asymmetricKeyType}, not RSA: a GitHub App signs with RSA`);
  }
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
