import { expect, test } from 'vitest';
import { isRepository, splitRepository } from './repository.ts';

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
  ['Altinn/dialogporten', 'Altinn', 'dialogporten'],
  ['aLTINN/.github', 'aLTINN', '.github'],
])('%s is owner %s and name %s, in its own spelling', (repository, owner, name) => {
  expect(splitRepository(repository)).toEqual({ owner, name });
});

test.each(['', 'Altinn', 'Altinn/a/b', 'Altinn/..'])('%j has no parts', repository => {
  expect(() => splitRepository(repository)).toThrow(`"${repository}" is not owner/name`);
});
