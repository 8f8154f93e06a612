import { sign } from '@flux-dispatch/event/signature';
import { expect, test } from 'vitest';
import { authenticate } from './authenticate.ts';

const body = Buffer.from('{}');
const token = Buffer.from('token');
const GOOD = sign(body, token);
const WRONG = sign(body, Buffer.from('other'));

test.each([
  // signature, tokens, with ALLOW_UNSIGNED, without
  ['good', GOOD, [token], true, true],
  ['wrong', WRONG, [token], false, false],
  ['malformed', 'token', [token], false, false],
  ['missing', '', [token], true, false],
  ['missing, and no token', '', [], true, false],
  ['given, and no token to check it with', GOOD, [], true, false],
])('a signature that is %s', (_, signature, tokens, unsigned, signed) => {
  const senderOf = (ALLOW_UNSIGNED: boolean) => authenticate(body, signature, tokens, { ALLOW_UNSIGNED });
  expect(senderOf(true)).toEqual(unsigned ? { scope: 'all' } : undefined);
  expect(senderOf(false)).toEqual(signed ? { scope: 'all' } : undefined);
});
