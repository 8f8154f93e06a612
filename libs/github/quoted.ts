/** Quotes a name that others chose, on one line and cut at `max` UTF-16 units. */
export function quoted(name: string, max = 60): string {
  return JSON.stringify(oneLine(name, max));
}

/** A text without control characters, line breaks and lone surrogates, cut at `max` UTF-16 units. */
export function oneLine(text: string, max: number): string {
  // Cut first: the text may be megabytes long.
  const line = text.slice(0, 2 * max).replace(/[\p{C}\p{Z}]+/gu, ' ');
  if (line.length <= max && text.length <= 2 * max) return line;
  return `${line.slice(0, max - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
