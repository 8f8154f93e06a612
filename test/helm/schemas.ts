import { Ajv, type ErrorObject } from 'ajv';
import type { KubernetesObject } from './render.ts';
import schemas from './schemas.json' with { type: 'json' };

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false }).addSchema(schemas);
const kinds: Readonly<Record<string, string>> = schemas.kinds;

/** What the API server would refuse in an object, by the schemas of Kubernetes and of the operators; empty for none. */
export function schemaFaults(object: KubernetesObject): readonly string[] {
  const kind = `${object.apiVersion}/${object.kind}`;
  const definition = kinds[kind];
  if (definition === undefined) return [`${kind} is not among schemas.json: see update-schemas.ts`];
  const pointer = definition.replaceAll('~', '~0').replaceAll('/', '~1');
  const validate = ajv.getSchema(`kubernetes#/definitions/${pointer}`);
  if (validate === undefined) throw new Error(`schemas.json has no ${definition}`);
  validate(object);
  return (validate.errors ?? []).map(describe);
}

function describe({ instancePath, message, params }: ErrorObject): string {
  const what = 'additionalProperty' in params ? `: ${params['additionalProperty']}` : '';
  return `${instancePath} ${message}${what}`;
}
