import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sign, verifySignature } from '@flux-dispatch/event/signature';
import { createLogger } from '@flux-dispatch/runtime/log';
import { expect, test } from 'vitest';
import { parseTokens, tokenFile } from './token.ts';

test.each([
  ['as it is', 'token', ['token']],
  ['with a trailing newline', 'token\n', ['token\n', 'token']],
  ['with one of Windows', 'token\r\n', ['token\r\n', 'token']],
  ['with two: only the last is removed', 'token\n\n', ['token\n\n', 'token\n']],
  ['with a trailing space, which is part of it', 'token ', ['token ']],
  ['with a leading newline, which is part of it', '\ntoken', ['\ntoken']],
  ['of one character', 'x', ['x']],
])('a token file %s', (_, content, tokens) => {
  expect(parseTokens(Buffer.from(content))).toEqual(tokens.map(token => Buffer.from(token)));
});

test.each([
  ['empty', ''],
  ['with a newline alone', '\n'],
  ['with one of Windows alone', '\r\n'],
])('a token file %s has no token', (_, content) => {
  expect(() => parseTokens(Buffer.from(content))).toThrow(
    /^is empty: it must hold the token of the Flux Provider$/,
  );
});

test('a token is bytes, also where they are no text', () => {
  const binary = Buffer.from([0xff, 0x00, 0xc3, 0x0a]);
  expect(parseTokens(binary)).toEqual([binary, binary.subarray(0, 3)]);
});

test('a Provider signs with its Secret, which has the newline or not: either matches', () => {
  const body = Buffer.from('{}');
  const keys = parseTokens(Buffer.from('token\n')).map(secret => ({ secret }));
  expect(verifySignature(body, sign(body, Buffer.from('token')), keys)).toBeDefined();
  expect(verifySignature(body, sign(body, Buffer.from('token\n')), keys)).toBeDefined();
});

test('a file that cannot be read: no token, one line in the log, and a recovery', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flux-dispatch-token-'));
  try {
    const path = join(directory, 'token');
    const lines: string[] = [];
    const tokens = tokenFile(path, createLogger('ingest', 'info', { write: line => lines.push(line) }));
    expect([await tokens(), await tokens()]).toEqual([[], []]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('HMAC_TOKEN_PATH');

    await writeFile(path, 'token');
    expect(await tokens()).toEqual([Buffer.from('token')]);
  } finally {
    await rm(directory, { recursive: true });
  }
});
