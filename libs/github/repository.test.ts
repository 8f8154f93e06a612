import { expect, test } from 'vitest';
import { isAllowedOwner, isRepository, ownerOf } from './repository.ts';

test.each([
  ['Altinn/dialogporten', true],
  ['Altinn/altinn-correspondence', true],
  ['a_b.c-9/.github', true],
  ['Altinn/..a', true],
  ['Altinn', false],
  ['Altinn/', false],
  ['/dialogporten', false],
  ['Altinn/a/b', false],
  ['Altinn/.', false],
  ['Altinn/..', false],
  ['../dialogporten', false],
  ['Altinn/...', false],
  ['Altinn/a b', false],
  [' Altinn/a', false],
  ['Altinn/a\n', false],
  ['Altinn/a?x=1', false],
  ['Altinn/a%2f', false],
  ['Altinn/blåbær', false],
  ['https://github.com/Altinn/a', false],
  ['', false],
])('%j is a repository: %s', (name, valid) => {
  expect(isRepository(name)).toBe(valid);
});

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

test('the owner is what stands before the slash, in its own spelling', () => {
  expect(ownerOf('Altinn/dialogporten')).toBe('Altinn');
});
