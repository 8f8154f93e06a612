/**
 * A copy of what came from JSON, with U+FFFD for each half of a surrogate pair. JSON can spell such a half, and so a job
 * can hold one, but GitHub and Redis' Lua refuse to read it: the dispatch could neither be sent nor given up.
 */
export function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.toWellFormed(), wellFormed(inner)]),
  );
}
