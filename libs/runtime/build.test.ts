import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readBuild } from './build.ts';

const root = mkdtempSync(join(tmpdir(), 'flux-dispatch-build-'));
afterAll(() => rmSync(root, { recursive: true }));

const write = (file: string, content: unknown) => writeFileSync(join(root, file), JSON.stringify(content));

test('a checkout has the version of package.json, an image the one that it was built with', () => {
  write('package.json', { name: 'flux-dispatch', version: '1.2.3', private: true });
  expect(readBuild(root)).toEqual({ name: 'flux-dispatch', version: '1.2.3', revision: 'unknown' });

  write('build.json', { version: '1.3.0', revision: 'abc' });
  expect(readBuild(root)).toEqual({ name: 'flux-dispatch', version: '1.3.0', revision: 'abc' });
});

test('this checkout', () => {
  expect(readBuild()).toMatchObject({
    name: 'flux-dispatch',
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
});
