import { expect, test } from 'vitest';
import { isCrossSite } from './cross-site.ts';

const host = 'board.example:3000';
test.each([
  [{ 'sec-fetch-site': 'same-origin' }, false],
  [{ 'sec-fetch-site': 'same-origin', origin: 'https://outside-name.example' }, false],
  [{ 'sec-fetch-site': 'none' }, false],
  [{ 'sec-fetch-site': 'same-site' }, true],
  [{ 'sec-fetch-site': 'cross-site' }, true],
  [{ 'sec-fetch-site': 'cross-site', origin: `http://${host}` }, true],
  [{ origin: `http://${host}` }, false],
  [{ origin: `https://${host}` }, false],
  [{ origin: 'http://board.example' }, true],
  [{ origin: 'https://elsewhere.example' }, true],
  [{ origin: 'null' }, true],
  [{}, false],
])('%o: %s', (headers, crossSite) => {
  expect(isCrossSite({ host, ...headers })).toBe(crossSite);
});
