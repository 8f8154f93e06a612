import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseBoardConfig } from '@flux-dispatch/board/config';
import { parseDispatcherConfig } from '@flux-dispatch/dispatcher/config';
import { parseIngestConfig } from '@flux-dispatch/ingest/config';
import type { Environment, Parsed } from '@flux-dispatch/runtime/env';
import { duration } from '@flux-dispatch/runtime/variable';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { CHART, chart } from './render.ts';

interface Schema {
  readonly type?: string;
  readonly $ref?: string;
  readonly pattern?: string;
  readonly additionalProperties?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

const schema: Schema & { definitions: Readonly<Record<string, Schema>> } = JSON.parse(
  await readFile(join(CHART, 'values.schema.json'), 'utf8'),
);
const values = parse(await readFile(join(CHART, 'values.yaml'), 'utf8'));

function resolve(inner: Schema | undefined): Schema {
  const name = inner?.$ref?.replace('#/definitions/', '');
  return (name === undefined ? inner : schema.definitions[name]) ?? {};
}

/** Each place where values.yaml and the schema differ. */
function differences(value: unknown, { properties, required = [] }: Schema, path: string): string[] {
  // Free content, or nothing to look into.
  if (properties === undefined || typeof value !== 'object' || value === null) return [];
  // What is given for a while or for a process alone has no default.
  if (/\.(?:config|image|resources)$/.test(path)) return [];
  const named = Object.keys(value);
  // What a parent chart gives to its charts.
  const known = Object.keys(properties).filter(key => !['.global', '.enabled'].includes(`${path}.${key}`));
  return [
    ...named.filter(key => !known.includes(key)).map(key => `${path}.${key} is not in the schema`),
    ...known.filter(key => !named.includes(key)).map(key => `${path}.${key} is not in values.yaml`),
    // An empty value takes the default away.
    ...named.filter(key => !required.includes(key)).map(key => `${path}.${key} may be null`),
    ...Object.entries(value).flatMap(([key, inner]) =>
      differences(inner, resolve(properties[key]), `${path}.${key}`),
    ),
  ];
}

test('values.yaml has every value that the schema knows, and no other', () => {
  expect(differences(values, schema, '')).toEqual([]);
});

test('no object of the schema lets a typo through', () => {
  const open = (inner: Schema, path: string): string[] => [
    ...(inner.properties && inner.additionalProperties !== false ? [path] : []),
    ...Object.entries(inner.properties ?? {}).flatMap(([key, next]) => open(next, `${path}.${key}`)),
  ];
  expect(
    [open(schema, ''), ...Object.values(schema.definitions).map(inner => open(inner, ''))].flat(),
  ).toEqual([]);
});

test.each([
  ...[
    '1ms',
    '500ms',
    '10s',
    '5m',
    '24h',
    '14d',
    '24d',
    '1h30m',
    '1h30m10s',
    '1d12h',
    '23d23h59m59s999ms',
    '2m0s',
  ],
  ...['0s', '10', '25d', '24d1h', '30m1h', '1h30', '1.5h', '1h 30m', ' 1h', ''],
])('the schema and the processes agree on the duration %j', value => {
  const pattern = new RegExp(schema.definitions['duration']?.pattern ?? '$^');
  expect(pattern.test(value)).toBe(duration().safeParse(value).success);
});

const READS: Record<string, (env: Environment) => Parsed<object>> = {
  ingest: parseIngestConfig,
  dispatcher: parseDispatcherConfig,
  board: parseBoardConfig,
};

test.each(['ingest', 'dispatcher'])('%s has every variable that the schema lets its config set', name => {
  const config = Object.keys(schema.properties?.[name]?.properties?.['config']?.properties ?? {});
  // No variable takes this, so that one which the process does not know stands out.
  const parsed = READS[name]?.(Object.fromEntries(config.map(variable => [variable, '\n'])));
  const named = parsed?.ok === false ? parsed.faults.map(({ variable }) => variable) : [];
  expect(config.length).toBeGreaterThan(0);
  expect(config.filter(variable => !named.includes(variable))).toEqual([]);
});

test.for(Object.entries(READS))(
  '%s gets from the chart every variable that it has',
  async ([name, read], context) => {
    const { get } = await (await chart(context)).render('--values', join(CHART, 'ci/everything-values.yaml'));
    const { data } = get('ConfigMap', `dispatch-${name}`);
    // The paths name files of a pod.
    const env = Object.entries<string>(data).filter(([variable]) => !variable.endsWith('_PATH'));
    const parsed = read({ ...Object.fromEntries(env), ALLOW_UNSIGNED: 'true', DRY_RUN: 'true' });
    const faults = parsed.ok ? [] : parsed.faults.map(({ message }) => message);
    expect(faults.filter(message => !/_PATH is required/.test(message))).toEqual([]);
    if (!parsed.ok) return;
    expect(Object.keys(parsed.config).filter(variable => !(variable in data))).toEqual(
      name === 'dispatcher' ? ['DRY_RUN'] : [],
    );
  },
);
