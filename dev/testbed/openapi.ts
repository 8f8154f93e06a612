import { createRequire } from 'node:module';
import { Ajv, type Options, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { ofVersion } from './api-version.ts';
import type { RecordedRequest } from './recording-proxy.ts';

/** GitHub's own description of its REST API, to hold against it what is sent to GitHub and what stands in for it. */
export interface GitHubDescription {
  /** What is wrong with a value, by a schema of the description; empty where nothing is. */
  valueFaults(schema: string, value: unknown): readonly string[];
  /** Which operation a request is, and what is wrong with its path, query and body. */
  checkRequest(request: Pick<RecordedRequest, 'method' | 'path' | 'headers' | 'body'>): CheckedRequest;
}

export interface CheckedRequest {
  /** Such as `repos/create-dispatch-event`; undefined where the description has no such operation. */
  readonly operation: string | undefined;
  readonly faults: readonly string[];
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation | undefined>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
  };
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly (Parameter | { readonly $ref: string })[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, { readonly schema: object }>>;
  };
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly description?: string;
  readonly required?: boolean;
  readonly schema: object;
  /** What stands in its place in the path may contain slashes. */
  readonly 'x-multi-segment'?: boolean;
}

const ID = 'github';

/**
 * Reads the description. That takes a second: once for a test file is enough.
 * @param version of the API, `YYYY-MM-DD`
 */
export function readGitHubDescription(version: string): GitHubDescription {
  // The package's index reads every edition of the description, 400 MB; this is the one.
  const published: Document & Readonly<Record<string, unknown>> = createRequire(import.meta.url)(
    '@octokit/openapi/generated/api.github.com.json',
  );
  const { paths, components: parts } = published;
  const { schemas, parameters } = parts;
  const document: Document = ofVersion({ paths, components: { schemas, parameters } }, version);
  const components = { schemas: toJsonSchema(document.components.schemas) };
  const createAjv = (options: Options) => {
    const ajv = new Ajv({ strict: false, allErrors: true, ...options });
    addFormats.default(ajv);
    return ajv.addSchema({ components }, ID);
  };
  const ajv = createAjv({});
  // Outside of a body, numbers too are text on the wire.
  const parameterAjv = createAjv({ coerceTypes: true });

  const faultsOf = (validate: ValidateFunction, value: unknown, where: string): string[] =>
    validate(value)
      ? []
      : (validate.errors ?? []).map(({ instancePath, message }) => `${where}${instancePath} ${message}`);

  function parameterFaults(operation: Operation, values: Record<Parameter['in'], Map<string, string>>) {
    const parameters = (operation.parameters ?? []).map(parameter =>
      '$ref' in parameter ? resolve(document, parameter.$ref) : parameter,
    );
    const described = new Set(parameters.map(parameter => `${parameter.in} ${parameter.name}`));
    const undescribed = [...values.path.keys()].map(name => `path ${name}`);
    undescribed.push(...[...values.query.keys()].map(name => `query ${name}`));
    return [
      ...undescribed.filter(name => !described.has(name)).map(name => `${name} is not described`),
      ...parameters.flatMap(({ name, in: location, required, schema, description }) => {
        const value = values[location].get(name);
        if (value === undefined) return required ? [`${location} ${name} is missing`] : [];
        const validate = parameterAjv.compile({
          properties: { value: toJsonSchema(isSearch(description) ? {} : schema) },
        });
        return faultsOf(validate, { value }, `${location} ${name}`);
      }),
    ];
  }

  function bodyFaults({ requestBody }: Operation, body: Buffer, contentType: string): string[] {
    if (body.length === 0) return requestBody?.required ? ['the body is missing'] : [];
    if (!requestBody) return ['a body is not described'];
    const schema = requestBody.content[contentType.split(';', 1)[0] ?? '']?.schema;
    if (!schema) return [`a body of type "${contentType}" is not described`];
    let value: unknown;
    try {
      value = JSON.parse(body.toString());
    } catch {
      return ['the body is not JSON'];
    }
    return faultsOf(ajv.compile(toJsonSchema(schema)), value, 'body');
  }

  return {
    valueFaults(schema, value) {
      const validate = ajv.getSchema(`${ID}#/components/schemas/${schema}`);
      if (!validate) return [`GitHub describes no ${schema}`];
      return faultsOf(validate, value, schema);
    },
    checkRequest({ method, path, headers, body }) {
      const url = new URL(path, 'http://github');
      const found = findOperation(document, method, url.pathname);
      if (!found) return { operation: undefined, faults: [`GitHub describes no ${method} ${url.pathname}`] };
      const values = {
        path: found.values,
        query: new Map(url.searchParams),
        header: new Map(Object.entries(headers).map(([name, value]) => [name, String(value)])),
      };
      return {
        operation: found.operation.operationId,
        faults: [
          ...parameterFaults(found.operation, values),
          ...bodyFaults(found.operation, body, headers['content-type'] ?? ''),
        ],
      };
    },
  };
}

/** The operation of a path, and what stands in the place of its `{parameters}`. A literal path precedes these. */
function findOperation(
  { paths }: Document,
  method: string,
  path: string,
): { operation: Operation; values: Map<string, string> } | undefined {
  const candidates = Object.entries(paths).flatMap(([template, operations]) => {
    const operation = operations[method.toLowerCase()];
    const values = operation && matchPath(template, path, isMultiSegment(operation));
    return values ? [{ operation, values }] : [];
  });
  return candidates.sort((a, b) => a.values.size - b.values.size)[0];
}

/** Whether the last parameter of the path takes what is left of a path. */
function isMultiSegment({ parameters = [] }: Operation): boolean {
  return parameters.some(parameter => 'x-multi-segment' in parameter && parameter['x-multi-segment']);
}

/** A parameter in GitHub's search syntax, such as `>=2026-11-21`. The description has it as a date, which it is not. */
function isSearch(description = ''): boolean {
  return description.includes('search syntax');
}

function matchPath(template: string, path: string, multiSegment: boolean): Map<string, string> | undefined {
  const values = new Map<string, string>();
  const all = path.split('/');
  const count = template.split('/').length;
  const segments = multiSegment ? [...all.slice(0, count - 1), all.slice(count - 1).join('/')] : all;
  const matches = template.split('/').every((expected, index) => {
    const [, parameter] = /^\{(.+)\}$/.exec(expected) ?? [];
    const segment = segments[index];
    if (parameter === undefined) return segment === expected;
    if (!segment) return false;
    values.set(parameter, decodeURIComponent(segment));
    return true;
  });
  return matches && count === segments.length ? values : undefined;
}

function resolve({ components }: Document, ref: string): Parameter {
  const parameter = components.parameters[ref.replace('#/components/parameters/', '')];
  if (!parameter) throw new Error(`The description refers to ${ref}, which it does not have`);
  return parameter;
}

/** OpenAPI 3.0 marks what may be null in a way of its own, and its references are relative to the whole description. */
function toJsonSchema(schema: object): object {
  return JSON.parse(JSON.stringify(schema), (key, value) => {
    if (key === '$ref' && typeof value === 'string') return value.replace(/^#/, `${ID}#`);
    if (value?.nullable !== true) return value;
    const { nullable: _nullable, ...others } = value;
    return { anyOf: [others, { type: 'null' }] };
  });
}
