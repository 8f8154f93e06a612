import { describe, expect, test } from 'vitest';
import { loadFixtures } from '../../test/support/recorded-events.ts';
import { sign, verifySignature } from './signature.ts';

const { token, events } = loadFixtures('flux-events');
const body = Buffer.from('{"reason":"ReconciliationSucceeded"}');
const key = Buffer.from('token');
const signature = sign(body, key);

test("notification-controller's own test vector", () => {
  const vector = events.find(({ file }) => file === 'upstream-signature-vector.json');
  expect(sign(vector?.body ?? Buffer.of(), Buffer.from('7152fed34dd6149a7c75a276c510da27cb6f82b0'))).toBe(
    'sha256=65b018549b1254e7226d1c08f9567ee45bc9de0fc4e7b1a40253f9a018b08be7',
  );
});

test.each(events)('the real client on $file', ({ body, signature }) => {
  expect(verifySignature(body, signature, [Buffer.from(token)])).toBe(true);
});

describe('a signature is', () => {
  test.each([
    ['good under the token', signature, [key], true],
    ['good under either token of a rotation', signature, [Buffer.from('new'), key], true],
    ['good whatever the order of the tokens', signature, [key, Buffer.from('new')], true],
    ['wrong under another token', signature, [Buffer.from('other')], false],
    ['wrong under the token with a newline: it is not trimmed', signature, [Buffer.from('token\n')], false],
    ['wrong where there is no token', signature, [], false],
    ['missing', undefined, [key], false],
    ['malformed: empty', '', [key], false],
    ['malformed: without its algorithm', signature.slice('sha256='.length), [key], false],
    ['malformed: of another algorithm', signature.replace('sha256', 'sha1'), [key], false],
    ['malformed: in upper case', signature.toUpperCase(), [key], false],
    ['malformed: a digit short', signature.slice(0, -1), [key], false],
    ['malformed: a digit long', `${signature}0`, [key], false],
    ['malformed: with a newline', `${signature}\n`, [key], false],
    ['malformed: given twice', `${signature}, ${signature}`, [key], false],
    ['malformed: no hex', `sha256=${'g'.repeat(64)}`, [key], false],
    ['malformed: of as many characters but more bytes', `sha256=${'é'.repeat(64)}`, [key], false],
  ])('%s', (_, signature, tokens, valid) => {
    expect(verifySignature(body, signature, tokens)).toBe(valid);
  });

  test('wrong when a single byte of the body is another', () => {
    expect(verifySignature(Buffer.from(body.toString().replace('R', 'r')), signature, [key])).toBe(false);
  });
});

test('a token is its raw bytes, text or not', () => {
  const binary = Buffer.from([0x00, 0xff, 0xfe, 0x0a]);
  expect(verifySignature(body, sign(body, binary), [binary])).toBe(true);
});
