import { expect, it } from 'vitest';
import { NotYet, until } from './until.ts';

it('returns the first value that is not undefined, false or a reason to wait', async () => {
  const values = [undefined, false, new NotYet('too early'), 0];
  expect(await until('there is a value', () => values.shift())).toBe(0);
});

it.each([
  { last: undefined, message: 'Timed out after 0.01 s waiting until it is ready' },
  { last: false, message: 'Timed out after 0.01 s waiting until it is ready' },
  {
    last: new NotYet('Redis is away'),
    message: 'Timed out after 0.01 s waiting until it is ready: Redis is away',
  },
] as const)('gives up with the last reason: $message', async ({ last, message }) => {
  await expect(until('it is ready', async () => last, 10)).rejects.toMatchObject({ message });
});

it('throws at once what the check throws', async () => {
  const check = () => {
    throw new Error('it ended');
  };
  await expect(until('it is ready', check)).rejects.toThrow('it ended');
});
