import leven from 'leven';

/** A name in the environment that looks like a misspelling, and the variable that it looks like. */
export interface Misspelt {
  readonly name: string;
  readonly meant: string;
}

// Spellings of LOG_LEVEL that other programs read. An environment that several programs share may well have both.
const OF_OTHER_PROGRAMS = new Set(['LOGLEVEL', 'loglevel', 'log_level', 'logLevel']);

/**
 * Finds the names that look like a misspelling of one of `variables`. A wrong report stops a start, so a name counts only
 * where all its words but one are those of the variable, and that one is a slip of the fingers away; or where only case and
 * underscores differ. Another word (REDIS_URI, REDIS_PORT), one more word (MY_REDIS_URL) or a number (REDIS_URL_2) makes
 * it the name of something else.
 */
export function findMisspelt(names: readonly string[], variables: readonly string[]): Misspelt[] {
  return names.flatMap(name => {
    if (variables.includes(name) || OF_OTHER_PROGRAMS.has(name) || !/^[A-Za-z_-]+$/.test(name)) return [];
    const meant = variables.find(variable => isMisspelling(name, variable));
    return meant === undefined ? [] : [{ name, meant }];
  });
}

function isMisspelling(name: string, variable: string): boolean {
  if (letters(name) === letters(variable)) return true;
  const [given, own] = [name.toUpperCase().split(/[_-]/), variable.split('_')];
  if (given.length !== own.length) return false;
  const different = given.flatMap((word, index) =>
    word === own[index] ? [] : [[word, own[index] ?? ''] as const],
  );
  return different.length === 1 && different.every(([word, meant]) => isSlip(word, meant));
}

function letters(name: string): string {
  return name.replace(/[_-]/g, '').toUpperCase();
}

// In a word this short another letter makes another word: URI for URL, APP for API, MIN for MAX.
const SHORT = 3;
const LONG = 8;

/** A letter too many, too few or a wrong one, two of them in a long word; or two letters that have changed places. */
function isSlip(word: string, meant: string): boolean {
  const edits = leven(word, meant);
  if (edits === 2 && sorted(word) === sorted(meant)) return true;
  if (meant.length <= SHORT) return edits === 1 && distinct(word) === distinct(meant);
  return edits <= (meant.length >= LONG ? 2 : 1);
}

function sorted(word: string): string {
  return [...word].sort().join('');
}

function distinct(word: string): string {
  return sorted([...new Set(word)].join(''));
}
