/** A table with columns as wide as their widest cell. The first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const rule = line(widths.map(width => '─'.repeat(width)));
  const [heading, ...body] = rows.map(line);
  return [heading, rule, ...body].join('\n');
}
