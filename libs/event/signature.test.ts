import { describe, expect, test } from 'vitest';
import { loadFixtures } from '../../test/support/recorded-events.ts';
import { sign, verifySignature } from './signature.ts';

const { token, events } = loadFixtures('flux-events');
const body = Buffer.from('{"reason":"ReconciliationSucceeded"}');
const key = { secret: Buffer.from('token') };
const signature = sign(body, key.secret);
const keyOf = (token: string) => ({ secret: Buffer.from(token) });

test("notification-controller's own test vector", () => {
  const vector = events.find(({ file }) => file === 'upstream-signature-vector.json');
  expect(sign(vector?.body ?? Buffer.of(), Buffer.from('7152fed34dd6149a7c75a276c510da27cb6f82b0'))).toBe(
    'sha256=65b018549b1254e7226d1c08f9567ee45bc9de0fc4e7b1a40253f9a018b08be7',
  );
});

test.each(events)('the real client on $file', ({ body, signature }) => {
  const key = keyOf(token);
  expect(verifySignature(body, signature, [key])).toBe(key);
});

describe('a signature is', () => {
  test.each([
    ['good under the token', signature, [key], key],
    ['good under either token of a rotation', signature, [keyOf('new'), key], key],
    ['good whatever the order of the tokens', signature, [key, keyOf('new')], key],
    ['wrong under another token', signature, [keyOf('other')], undefined],
    ['wrong under the token with a newline: it is not trimmed', signature, [keyOf('token\n')], undefined],
    ['wrong where there is no token', signature, [], undefined],
    ['missing', undefined, [key], undefined],
    ['malformed: empty', '', [key], undefined],
    ['malformed: without its algorithm', signature.slice('sha256='.length), [key], undefined],
    ['malformed: of another algorithm', signature.replace('sha256', 'sha1'), [key], undefined],
    ['malformed: in upper case', signature.toUpperCase(), [key], undefined],
    ['malformed: a digit short', signature.slice(0, -1), [key], undefined],
    ['malformed: a digit long', `${signature}0`, [key], undefined],
    ['malformed: with a newline', `${signature}\n`, [key], undefined],
    ['malformed: given twice', `${signature}, ${signature}`, [key], undefined],
    ['malformed: no hex', `sha256=${'g'.repeat(64)}`, [key], undefined],
    ['malformed: of as many characters but more bytes', `sha256=${'é'.repeat(64)}`, [key], undefined],
  ])('%s', (_, signature, keys, matched) => {
    expect(verifySignature(body, signature, keys)).toBe(matched);
  });

  test('wrong when a single byte of the body is another', () => {
    expect(verifySignature(Buffer.from(body.toString().replace('R', 'r')), signature, [key])).toBeUndefined();
  });
});

test('a token is its raw bytes, text or not', () => {
  const binary = { secret: Buffer.from([0x00, 0xff, 0xfe, 0x0a]) };
  expect(verifySignature(body, sign(body, binary.secret), [binary])).toBe(binary);
});
