import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parsePrivateKey } from './private-key.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pkcs1 = rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString();
const pkcs8 = rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('an RSA key is read in whatever form it comes', () => {
  test.each([
    ['PKCS #1, as GitHub hands it out', pkcs1],
    ['PKCS #8', pkcs8],
    ['with the line ends of Windows', pkcs1.replaceAll('\n', '\r\n')],
    ['without its last newline', pkcs1.trimEnd()],
  ])('%s', (_, pem) => {
    const parsed = parsePrivateKey(Buffer.from(pem));
    expect(parsed).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(createPrivateKey(parsed).equals(rsa.privateKey)).toBe(true);
  });
});

describe('anything else is refused, without repeating any of it', () => {
  const notPem = /^is not a private key in PEM form: download one/;
  test.each([
    ['an EC key', ec.privateKey.export({ type: 'pkcs8', format: 'pem' }), /^is a key of type ec, not RSA/],
    ['the public key', rsa.publicKey.export({ type: 'spki', format: 'pem' }), notPem],
    [
      'an encrypted key',
      rsa.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'hunter2' }),
      notPem,
    ],
    ['a key cut short', pkcs1.slice(0, pkcs1.length / 2), notPem],
    ['a key with a line lost', pkcs1.replace(/\n.{64}\n.{64}\n/, '\n'), notPem],
    ['a key without its first line', pkcs1.replace(/^.*\n/, ''), notPem],
    ['DER', rsa.privateKey.export({ type: 'pkcs8', format: 'der' }), notPem],
    ['Base64 of Base64', Buffer.from(pkcs1).toString('base64'), notPem],
    ['garbage', 'hunter2', notPem],
    ['nothing', '', notPem],
  ])('%s', (_, content, message) => {
    let thrown: Error | undefined;
    try {
      parsePrivateKey(Buffer.from(content));
    } catch (error) {
      thrown = error as Error;
    }
    expect(thrown?.message).toMatch(message);

    const told = `${thrown?.message} ${thrown?.stack} ${thrown?.cause}`;
    const material =
      Buffer.from(content)
        .toString('latin1')
        .match(/[A-Za-z0-9+/=]{7,}/g) ?? [];
    const words = new Set(['PRIVATE', 'ENCRYPTED']);
    expect(material.filter(part => !words.has(part) && told.includes(part))).toEqual([]);
  });
});
