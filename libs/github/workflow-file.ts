import {
  type Alias,
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  visit,
  type YAMLMap,
} from 'yaml';
import { type RunTitle, readRunTitle } from './run-title.ts';
import { looksLikeDispatch, looksLikeTypes } from './spelling.ts';

/** What a workflow file says about the events that it listens to. */
export type WorkflowFile =
  | {
      readonly kind: 'workflow';
      /** The types of `repository_dispatch` that start it; undefined where it does not listen to this event. */
      readonly dispatchTypes: DispatchTypes | undefined;
      readonly runTitle: RunTitle;
      /** A key that GitHub does not know, and that looks like the one that makes it listen. */
      readonly misspelt?: Misspelling;
    }
  /** GitHub does not accept the file, so nothing starts it. Line and column count from 1. */
  | {
      readonly kind: 'invalid';
      readonly line: number;
      readonly column: number;
      /** Has words of the file in it. */
      readonly message: string;
      /** Whether its text mentions `repository_dispatch`, and so may be meant to listen. */
      readonly mayListen: boolean;
    }
  /** It could not be read here, which says nothing about how GitHub reads it. */
  | { readonly kind: 'unread'; readonly reason: string };

export type DispatchTypes = 'all' | readonly string[];

export interface Misspelling {
  readonly written: string;
  readonly meant: 'types' | 'repository_dispatch';
  /** From 1. */
  readonly line: number;
  /** What it would listen to if it were spelt right. */
  readonly types: DispatchTypes;
}

// The limits of GitHub's own parser are 1 MiB, a million YAML events and 50 levels: src/Sdk/WorkflowParser/ParseOptions.cs in
// github.com/actions/runner. A level takes one or two places on the stack here.
const MAX_CHARACTERS = 1024 * 1024;
const MAX_STACK = 100;
// A workflow of a thousand lines has some eight thousand. A hundred thousand take up to half a second, in which this process
// does nothing else.
const MAX_LEXEMES = 100_000;

/**
 * Reads a workflow file as GitHub does: YAML 1.2, aliases but no merge keys, one document, no key twice. Pure. It never
 * throws, whatever the text is, and takes a limited time and space.
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#on
 */
export function readWorkflowFile(text: string): WorkflowFile {
  const lines = new LineCounter();
  const result = compose(text, lines);
  if ('unread' in result) return { kind: 'unread', reason: result.unread };
  const read = 'fault' in result ? result : readDocuments(result.documents, lines);
  if ('fault' in read) {
    const { line, col } = lines.linePos(read.fault.offset);
    // A file without any line has its fault on line 0.
    const at = { line: Math.max(line, 1), column: Math.max(col, 1) };
    const mayListen = /repository.?dispatch/i.test(text.slice(0, MAX_CHARACTERS));
    return { kind: 'invalid', ...at, message: read.fault.message, mayListen };
  }
  return { kind: 'workflow', ...read };
}

/** Whether a workflow starts at this event type. The comparison is exact, as nothing in GitHub's documentation says otherwise. */
export function listensTo(file: WorkflowFile, eventType: string): boolean {
  return file.kind === 'workflow' && includesType(file.dispatchTypes, eventType);
}

export function includesType(types: DispatchTypes | undefined, eventType: string): boolean {
  return types === 'all' || (types?.includes(eventType) ?? false);
}

interface Fault {
  /** In the text, from 0. */
  readonly offset: number;
  readonly message: string;
}

type Faulty = { readonly fault: Fault };
const faulty = (offset: number, message: string): Faulty => ({ fault: { offset, message } });

/**
 * The library's own `parseDocument`, with limits. Without them it recurses as deep as the text nests, and some thousand
 * brackets end the process: V8 cannot compile a regular expression when its stack is nearly full, and aborts.
 */
function compose(
  text: string,
  lines: LineCounter,
): { readonly documents: readonly Document.Parsed[] } | Faulty | { readonly unread: string } {
  if (text.length > MAX_CHARACTERS) return faulty(0, 'the file is over 1 MiB');
  const parser = new Parser(lines.addNewLine);
  // GitHub takes a comment right after a bracket, which is strictly no YAML: yaml-schema-sequence.yml among the test data of
  // github.com/actions/languageservices. The library's own check for a key that is there twice takes quadratic time.
  const composer = new Composer({ strict: false, uniqueKeys: false, prettyErrors: false });
  const documents: Document.Parsed[] = [];
  let lexemes = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    if (++lexemes > MAX_LEXEMES) return { unread: 'it is too large' };
    for (const token of parser.next(lexeme)) {
      // The first is enough. A file may have a million.
      if (token.type === 'error') return faulty(token.offset, token.message);
      documents.push(...composer.next(token));
    }
    if (documents.length > 1) break;
    if (parser.stack.length > MAX_STACK) return faulty(parser.offset, 'it is nested too deeply');
  }
  for (const token of parser.end()) documents.push(...composer.next(token));
  documents.push(...composer.end(true, text.length));
  return { documents };
}

type Listening = {
  readonly dispatchTypes: DispatchTypes | undefined;
  readonly misspelt?: Misspelling;
};

function readDocuments(
  documents: readonly Document.Parsed[],
  lines: LineCounter,
): Faulty | (Listening & { readonly runTitle: RunTitle }) {
  const [document, second] = documents;
  const error = document?.errors[0];
  if (error) return faulty(error.pos[0], error.message);
  if (second) return faulty(second.range[0], 'a second YAML document begins');
  const aliases = new Map<Alias, unknown>();
  const fault = document && checkNodes(document, aliases);
  if (fault) return { fault };
  const resolve = (node: unknown) => (isAlias(node) ? aliases.get(node) : node);

  const root: unknown = document?.contents;
  if (isEmpty(root)) return faulty(0, 'the file is empty');
  if (!isMap(root)) return faulty(offsetOf(root), 'it is not a map with "on" and "jobs"');
  const on = root.items.find(({ key }) => textOf(key) === 'on');
  if (!on) return faulty(0, '"on" is missing');
  // Without jobs GitHub refuses the file, whatever it listens to.
  if (!root.items.some(({ key }) => textOf(key) === 'jobs')) return faulty(0, '"jobs" is missing');

  const runName = root.items.find(({ key }) => textOf(key) === 'run-name');
  const title = resolve(runName?.value);
  const titleText = isEmpty(title) ? '' : textOf(title);
  if (titleText === undefined) return faulty(offsetOf(runName?.key), '"run-name" is not a text');
  const listening = readEvents(resolve(on.value), resolve, lines);
  return 'fault' in listening ? listening : { ...listening, runTitle: readRunTitle(titleText) };
}

/** @param on what stands under `on` */
function readEvents(on: unknown, resolve: Resolve, lines: LineCounter): Faulty | Listening {
  const events = eventsOf(on, resolve);
  const dispatch = events.find(({ name }) => name === 'repository_dispatch');
  if (dispatch) return readDispatch(resolve(dispatch.filters), resolve, lines);
  const meant = events.find(({ name }) => looksLikeDispatch(name));
  if (!meant) return { dispatchTypes: undefined };
  const inner = readDispatch(resolve(meant.filters), resolve, lines);
  const types = ('dispatchTypes' in inner && inner.dispatchTypes) || 'all';
  const { line } = lines.linePos(meant.offset);
  return {
    dispatchTypes: undefined,
    misspelt: { written: meant.name, meant: 'repository_dispatch', line, types },
  };
}

/**
 * Finds what each alias stands for, and the first fault that GitHub finds and the YAML library does not. Only the lookup of
 * an alias, never its expansion, so that aliases of aliases cost nothing.
 */
function checkNodes(document: Document.Parsed, aliases: Map<Alias, unknown>): Fault | undefined {
  const anchors = new Map<string, unknown>();
  let fault: Fault | undefined;
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target === undefined)
          fault = { offset: offsetOf(node), message: `no anchor "${node.source}" before it` };
        aliases.set(node, target);
      } else if (node.anchor !== undefined) anchors.set(node.anchor, node);
      if (isMap(node)) fault ??= keyFault(node);
      return fault && visit.BREAK;
    },
  });
  return fault;
}

function keyFault(map: YAMLMap): Fault | undefined {
  const seen = new Set<string>();
  for (const { key } of map.items) {
    const text = textOf(key);
    if (text === undefined) continue;
    // https://github.com/actions/runner/issues/1182: aliases work since August 2025, merge keys are not planned.
    if (text === '<<')
      return { offset: offsetOf(key), message: 'GitHub Actions does not support merge keys (<<)' };
    if (seen.has(text)) return { offset: offsetOf(key), message: `the key "${text}" is there twice` };
    seen.add(text);
  }
  return undefined;
}

type Resolve = (node: unknown) => unknown;

interface ListenedEvent {
  readonly name: string;
  readonly offset: number;
  readonly filters: unknown;
}

/** `on` is one event, a list of them, or a map from each to its filters. */
function eventsOf(on: unknown, resolve: Resolve): ListenedEvent[] {
  if (isMap(on)) {
    return on.items.map(({ key, value }) => ({
      ...{ name: textOf(resolve(key)) ?? '', offset: offsetOf(key), filters: value },
    }));
  }
  return (isSeq(on) ? on.items : [on]).map(item => ({
    ...{ name: textOf(resolve(item)) ?? '', offset: offsetOf(item), filters: undefined },
  }));
}

/** @param filters what stands under `repository_dispatch` */
function readDispatch(filters: unknown, resolve: Resolve, lines: LineCounter): Faulty | Listening {
  if (isEmpty(filters)) return { dispatchTypes: 'all' };
  if (!isMap(filters)) return faulty(offsetOf(filters), '"repository_dispatch" is not a map with "types"');
  const other = filters.items.find(({ key }) => textOf(key) !== 'types');
  if (other) {
    const written = textOf(other.key) ?? '';
    const offset = offsetOf(other.key);
    if (!looksLikeTypes(written)) return faulty(offset, `"repository_dispatch" has no filter "${written}"`);
    const types = typesOf(resolve(other.value), resolve) ?? 'all';
    const misspelt = { written, meant: 'types', line: lines.linePos(offset).line, types } as const;
    return { dispatchTypes: undefined, misspelt };
  }
  const [types] = filters.items;
  if (!types) return { dispatchTypes: 'all' };
  const dispatchTypes = typesOf(resolve(types.value), resolve);
  return dispatchTypes ? { dispatchTypes } : faulty(offsetOf(types.key), '"types" is not a list of names');
}

/** undefined where the node is neither a name nor a list of names. */
function typesOf(node: unknown, resolve: Resolve): readonly string[] | undefined {
  if (isEmpty(node)) return [];
  const types = (isSeq(node) ? node.items : [node]).map(item => textOf(resolve(item)));
  return types.every(type => type !== undefined) ? types : undefined;
}

/** A scalar as it is written: a plain `on` stays `on`, also where a `%YAML 1.1` makes a boolean of it. */
function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  return typeof node.value === 'string' ? node.value : (node.source ?? '');
}

function isEmpty(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && node.value === null);
}

function offsetOf(node: unknown): number {
  const { range } = (node ?? {}) as { range?: readonly number[] | null };
  return range?.[0] ?? 0;
}
