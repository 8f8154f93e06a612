import { describe, expect, test } from 'vitest';
import { parseEnvironment, requiredUnless } from './env.ts';
import { address, duration, flag, matching } from './variable.ts';

describe('an environment', () => {
  const VARIABLES = {
    LISTEN_ADDR: address.prefault(':8080'),
    TIMEOUT: duration().prefault('2s'),
    TOKEN: matching(/^\w+$/, 'a word').optional(),
    UNSIGNED: flag.prefault('false'),
  };
  const parse = (env: Record<string, string | undefined>) =>
    parseEnvironment(VARIABLES, env, [requiredUnless('TOKEN', 'UNSIGNED')]);

  test('is parsed into a frozen object under its own names, with defaults for the rest', () => {
    const parsed = parse({ TOKEN: 'abc', TIMEOUT: '5s', HOME: '/root' });
    expect(parsed).toEqual({
      ok: true,
      config: {
        LISTEN_ADDR: { host: undefined, port: 8080 },
        TIMEOUT: 5000,
        TOKEN: 'abc',
        UNSIGNED: false,
      },
    });
    expect(parsed.ok && Object.isFrozen(parsed.config)).toBe(true);
  });

  test.each([
    ['unset', undefined],
    ['empty', ''],
  ])('a variable that is %s has its default', (_, value) => {
    const parsed = parse({ UNSIGNED: 'true', TIMEOUT: value, TOKEN: value });
    expect(parsed.ok && parsed.config.TIMEOUT).toBe(2000);
  });

  test('all faults are reported at once, each with its variable and what it must be', () => {
    expect(parse({ LISTEN_ADDR: '8080', TIMEOUT: 'soon', TOKEN: '' })).toEqual({
      ok: false,
      faults: [
        {
          variable: 'LISTEN_ADDR',
          message: 'LISTEN_ADDR must be an address such as :8080 or 127.0.0.1:8080, not "8080"',
        },
        {
          variable: 'TIMEOUT',
          message:
            'TIMEOUT must be a duration such as 500ms, 10s, 24h, 14d or 1h30m, from 1ms to 24d, not "soon"',
        },
        { variable: 'TOKEN', message: 'TOKEN is required, unless UNSIGNED=true' },
      ],
    });
  });

  test('required, unless', () => {
    expect(parse({ TOKEN: 'abc' }).ok).toBe(true);
    expect(parse({ UNSIGNED: 'true' }).ok).toBe(true);
    expect(parse({ UNSIGNED: '1' }).ok).toBe(true);
    expect(parse({ UNSIGNED: 'false' }).ok).toBe(false);
    expect(parse({ UNSIGNED: '0' }).ok).toBe(false);
    expect(parse({}).ok).toBe(false);
  });

  test('a variable with a fault of its own is not called missing as well', () => {
    const parsed = parse({ TOKEN: 'a b' });
    expect(parsed.ok ? [] : parsed.faults.map(({ message }) => message)).toEqual([
      'TOKEN must be a word, not "a b"',
    ]);
  });

  test('a name that looks like a misspelt variable is a fault, beside the others', () => {
    expect(parse({ TIMEOUTT: '5s', LISTENADDR: ':80', UNSIGNED: 'yes', TOKENS: '', TOKEN: 'a' })).toEqual({
      ok: false,
      faults: [
        { variable: 'UNSIGNED', message: 'UNSIGNED must be true, false, 1 or 0, not "yes"' },
        {
          variable: 'TIMEOUTT',
          message: 'TIMEOUTT is not a variable of this process: did you mean TIMEOUT?',
        },
        {
          variable: 'LISTENADDR',
          message: 'LISTENADDR is not a variable of this process: did you mean LISTEN_ADDR?',
        },
      ],
    });
  });
});
