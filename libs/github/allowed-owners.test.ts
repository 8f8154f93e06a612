import { parseEnvironment } from '@flux-dispatch/runtime/env';
import { expect, test } from 'vitest';
import { ALLOWED_OWNERS_VARIABLE, isAllowedOwner } from './allowed-owners.ts';

test.each([
  ['Altinn/a', ['Altinn'], true],
  ['altinn/a', ['Altinn'], true],
  ['ALTINN/a', ['digdir', 'altinn'], true],
  ['Altinn-evil/a', ['Altinn'], false],
  ['Evil/Altinn', ['Altinn'], false],
  ['Altinn/a', [], false],
])("%s's owner is one of %j: %s", (repository, owners, allowed) => {
  expect(isAllowedOwner(repository, owners)).toBe(allowed);
});

test.each([
  [undefined, ['Altinn']],
  ['Altinn, Digdir', ['Altinn', 'Digdir']],
])('ALLOWED_OWNERS=%s is %j', (value, owners) => {
  const parsed = parseEnvironment(ALLOWED_OWNERS_VARIABLE, { ALLOWED_OWNERS: value });
  expect(parsed).toEqual({ ok: true, config: { ALLOWED_OWNERS: owners } });
});

test.each(['Altinn,', 'Altinn/dialogporten', 'Altinn Digdir'])('ALLOWED_OWNERS=%s is refused', value => {
  expect(parseEnvironment(ALLOWED_OWNERS_VARIABLE, { ALLOWED_OWNERS: value })).toEqual({
    ok: false,
    faults: [
      {
        variable: 'ALLOWED_OWNERS',
        message: expect.stringMatching(
          /^ALLOWED_OWNERS must be a comma-separated list of GitHub organizations/,
        ),
      },
    ],
  });
});
