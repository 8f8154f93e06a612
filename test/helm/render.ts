import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath } from '@flux-dispatch/testbed/find-on-path';
import { inject, type TestContext } from 'vitest';
import { parseAllDocuments } from 'yaml';

export const CHART = join(import.meta.dirname, '../../helm');

const RELEASE = 'flux-dispatch';
const NAMESPACE = 'dispatch-system';

/** An object of Kubernetes, as far as the tests look into it. */
// biome-ignore lint/suspicious/noExplicitAny: what is in it is what the schemas and the tests find out
export type KubernetesObject = { kind: string; apiVersion: string; metadata: any; spec?: any; data?: any };

export interface Rendered {
  readonly objects: readonly KubernetesObject[];
  /** The one object of this kind and name. @throws where there is none */
  get(kind: string, name: string): KubernetesObject;
  has(kind: string, name: string): boolean;
}

export interface Chart {
  /** @param args such as `--set`, `redis.url=…` @throws with what helm says */
  render(...args: string[]): Promise<Rendered>;
  /** @throws with what helm says */
  lint(...args: string[]): Promise<void>;
}

/** A chart (this project's, or one around it), by the helm on the PATH. Without one the test is skipped. */
export async function chart(context: TestContext, folder = CHART): Promise<Chart> {
  const helm = await findOnPath('helm', inject('path'));
  if (helm === undefined) {
    context.skip(
      'no helm on the PATH: go install helm.sh/helm/v3/cmd/helm@latest, or https://helm.sh/docs/intro/install',
    );
    throw new Error('skipped');
  }
  const run = (...args: string[]) => promisify(execFile)(helm, args, { maxBuffer: 16 * 1024 * 1024 });
  return {
    async lint(...args) {
      await run('lint', '--strict', folder, ...args);
    },
    async render(...args) {
      const { stdout } = await run(
        'template',
        ...(args.includes('--name-template') ? [] : [RELEASE]),
        folder,
        '--namespace',
        NAMESPACE,
        ...args,
      );
      const objects = parseObjects(stdout);
      const find = (kind: string, name: string) =>
        objects.find(object => object.kind === kind && object.metadata.name === name);
      return {
        objects,
        has: (kind, name) => find(kind, name) !== undefined,
        get(kind, name) {
          const found = find(kind, name);
          if (found) return found;
          const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
          throw new Error(`There is no ${kind} ${name}, only ${names.join(', ')}`);
        },
      };
    },
  };
}

/** @throws where something is no YAML */
export function parseObjects(yaml: string): KubernetesObject[] {
  return parseAllDocuments(yaml).flatMap(document => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() ?? [];
  });
}

/** What the values of the chart need at least, as arguments. */
export const MINIMAL = [
  ...['--set', 'redis.url=redis://redis.databases:6379'],
  ...['--set', 'ingest.hmacSecret.name=token'],
  ...['--set', 'dispatcher.github.appId=123456'],
  ...['--set', 'dispatcher.github.privateKeySecret.name=github-app'],
];

/** What a board needs beyond that. */
export const BOARD = [
  ...['--set', 'board.enabled=true'],
  ...['--set', 'board.auth.passwordSecret.name=board'],
];
