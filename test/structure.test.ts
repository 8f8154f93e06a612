import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

// What Biome can check is in biome.json: import cycles, process.env, the length of a file.

const ROOT = join(import.meta.dirname, '..');

interface Manifest {
  readonly name: string;
  readonly exports?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

/** A package of the workspace. */
interface Package {
  /** Such as `libs/queue`. */
  readonly folder: string;
  readonly manifest: Manifest;
}

interface Source {
  /** From the root, such as `libs/queue/claims.ts`. */
  readonly path: string;
  /** The package that it is in. Those of `test` are in none. */
  readonly owner: Package | undefined;
  readonly isTest: boolean;
  /** As they are written: `./keys.ts`, `bullmq`, `@flux-dispatch/queue/keys`. Not what Node brings along. */
  readonly imports: readonly string[];
}

const readManifest = (path: string): Manifest => JSON.parse(readFileSync(join(ROOT, path), 'utf8'));

const packages: readonly Package[] = globSync('{apps,libs,dev}/*/package.json', { cwd: ROOT })
  .map(path => ({ folder: dirname(path), manifest: readManifest(path) }))
  .sort((a, b) => (a.folder < b.folder ? -1 : 1));

const sources: readonly Source[] = globSync('{apps,libs,dev,test}/**/*.ts', { cwd: ROOT })
  .filter(path => !path.includes('node_modules'))
  .sort()
  .map(path => ({
    path,
    owner: packages.find(({ folder }) => path.startsWith(`${folder}/`)),
    isTest: path.endsWith('.test.ts') || path.startsWith('test/'),
    imports: importsOf(readFileSync(join(ROOT, path), 'utf8')),
  }));

/** The modules that a source imports, in the form that Biome gives to imports. */
function importsOf(text: string): string[] {
  const statement = /^(?:import|export) (?:type )?(?:[\w*{][^;'"]* from )?'([^']+)'/gm;
  const call = /\b(?:import|createRequire\(import\.meta\.url\))\(\s*'([^']+)',?\s*\)/g;
  const found = [...text.matchAll(statement), ...text.matchAll(call)];
  return [...new Set(found.map(([, module = '']) => module))].filter(module => !module.startsWith('node:'));
}

/** The package that an import names: `koa`, `@koa/router`. */
function packageName(module: string): string {
  return module
    .split('/')
    .slice(0, module.startsWith('@') ? 2 : 1)
    .join('/');
}

const isRelative = (module: string) => module.startsWith('.');

/** Where an import leads within the tree, such as `libs/queue/keys`; undefined for a package of others. */
function target(source: Source, module: string): string | undefined {
  if (isRelative(module)) return join(dirname(source.path), module);
  const owner = packages.find(({ manifest }) => manifest.name === packageName(module));
  return owner && join(owner.folder, module.slice(owner.manifest.name.length));
}

test.each<[text: string, imports: string[]]>([
  ["import 'a';", ['a']],
  ["import type { A } from 'a';\nimport b from './b.ts';", ['a', './b.ts']],
  ["import {\n  type A,\n  b,\n} from '@a/b/c';", ['@a/b/c']],
  ["export * from 'a';\nexport { b } from 'b';", ['a', 'b']],
  ["export const a = 1;\nconst { b } = await import('b');", ['b']],
  ["const a = createRequire(import.meta.url)('a/b.json');", ['a/b.json']],
  ["import { once } from 'node:events';\nimport a, * as b from 'a';", ['a']],
])('what is imported by %j', (text, imports) => {
  expect(importsOf(text)).toEqual(imports);
});

test('every package has sources', () => {
  expect(new Set(packages.map(({ folder }) => dirname(folder)))).toEqual(new Set(['apps', 'dev', 'libs']));
  const empty = packages.filter(({ folder }) => !sources.some(({ owner }) => owner?.folder === folder));
  expect(empty).toEqual([]);
});

describe('which part of the tree imports which', () => {
  const shipped = sources.filter(({ isTest }) => !isTest);

  /** Every import of these sources that leads to where it must not. */
  const wrong = (from: string, isWrong: (to: string, source: Source) => boolean) =>
    shipped
      .filter(({ path }) => path.startsWith(from))
      .flatMap(source =>
        source.imports.flatMap(module => {
          const to = target(source, module);
          return to !== undefined && isWrong(to, source) ? [`${source.path} imports ${module}`] : [];
        }),
      );

  test('libs import libs alone', () => {
    expect(wrong('libs/', to => !to.startsWith('libs/'))).toEqual([]);
  });

  test('an app imports libs, and no other app', () => {
    const allowed = ({ owner }: Source) => ['libs/', ...(owner ? [`${owner.folder}/`] : [])];
    expect(wrong('apps/', (to, source) => !allowed(source).some(folder => to.startsWith(folder)))).toEqual(
      [],
    );
  });

  test('nothing imports a test, or anything of test/, but tests', () => {
    const isTest = (to: string) => to.startsWith('test/') || /\.test(?:\.ts)?$/.test(to);
    expect(wrong('', isTest)).toEqual([]);
  });

  test('another package is imported by its name, not by its path', () => {
    const leaving = sources.flatMap(source =>
      source.imports.filter(isRelative).flatMap(module => {
        const to = target(source, module) ?? '';
        const other = packages.find(({ folder }) => to.startsWith(`${folder}/`));
        return other && other !== source.owner ? [`${source.path} imports ${module}`] : [];
      }),
    );
    expect(leaving).toEqual([]);
  });
});

describe.each(packages)('$folder/package.json', ({ folder, manifest }) => {
  const own = sources.filter(({ owner }) => owner?.folder === folder);
  const importedBy = (some: readonly Source[]) => {
    const modules = some.flatMap(({ imports }) => imports).filter(module => !isRelative(module));
    return new Set(modules.map(packageName).filter(name => name !== manifest.name));
  };
  const imported = importedBy(own.filter(({ isTest }) => !isTest));
  const importedByTests = importedBy(own.filter(({ isTest }) => isTest));

  const declared = Object.keys(manifest.dependencies ?? {});
  const declaredForTests = Object.keys(manifest.devDependencies ?? {});
  // What only developers run may take from either. The image of the demo has no devDependencies, and so stays small.
  const isDev = folder.startsWith('dev/');

  test('dependencies are what its sources import', () => {
    const known = isDev ? [...declared, ...declaredForTests] : declared;
    expect([
      ...[...imported].filter(name => !known.includes(name)).map(name => `add ${name}`),
      ...declared.filter(name => !imported.has(name)).map(name => `remove ${name}: no source imports it`),
    ]).toEqual([]);
  });

  test('devDependencies are what only its tests import and the root does not have', () => {
    const tools = Object.keys(readManifest('package.json').devDependencies ?? {});
    const wanted = [...importedByTests].filter(name => !imported.has(name));
    const allowed = isDev ? [...wanted, ...imported] : wanted;
    const known = [...declared, ...declaredForTests, ...tools];
    expect([
      ...wanted.filter(name => !known.includes(name)).map(name => `add ${name}`),
      ...declaredForTests
        .filter(name => !allowed.includes(name) || declared.includes(name))
        .map(name => `remove ${name}: no test alone imports it`),
    ]).toEqual([]);
  });

  test('exports are what others import', () => {
    const imports = sources.filter(({ owner }) => owner?.folder !== folder).flatMap(source => source.imports);
    const modules = new Set(imports.filter(module => packageName(module) === manifest.name));
    const wanted = new Map(
      [...modules].map(module => {
        const path = `.${module.slice(manifest.name.length)}`;
        return [path, `${path}.ts`];
      }),
    );
    const exported = new Map(Object.entries(manifest.exports ?? {}));
    expect([
      ...[...wanted]
        .filter(([path, file]) => exported.get(path) !== file)
        .map(([path, file]) => `add ${JSON.stringify(path)}: ${JSON.stringify(file)}`),
      ...[...exported.keys()]
        .filter(path => !wanted.has(path))
        .map(path => `remove ${JSON.stringify(path)}: no other package imports it`),
    ]).toEqual([]);
  });
});
