import leven from 'leven';

/** Whether the name of an event is `repository_dispatch`, misspelt. `workflow_dispatch` is an event of its own. */
export function looksLikeDispatch(name: string): boolean {
  const own = letters(name);
  return ['repositorydispatch', 'repodispatch'].some(meant => isSlip(own, meant));
}

/** Whether a filter under `repository_dispatch` stands where `types` should: `type`, `event_type`, `Types`. */
export function looksLikeTypes(name: string): boolean {
  const own = letters(name);
  return /^(?:event|activity)?(?:types?|names?)$|^events?$|^actions?$/.test(own) || isSlip(own, 'types');
}

/** The one of some event types that is most like another, where one is near enough to be the one that was meant. */
export function nearestType(eventType: string, types: readonly string[]): string | undefined {
  const distance = (type: string) => {
    if (letters(type) === letters(eventType)) return 0;
    // Types are no patterns, but `branches`, `tags` and `paths` are, next to them in the same file.
    if (type.includes('*') && eventType.startsWith(type.slice(0, type.indexOf('*')))) return 0.5;
    return leven(type.slice(0, MAX_TYPE), eventType.slice(0, MAX_TYPE));
  };
  const [nearest] = types
    .slice(0, MAX_TYPES)
    .map(type => ({ type, distance: distance(type) }))
    .sort((a, b) => a.distance - b.distance);
  return nearest && nearest.distance <= (eventType.length >= LONG ? 3 : 1) ? nearest.type : undefined;
}

// GitHub's own limit for an event type is 100 characters. The time that the comparison takes grows with the square.
const MAX_TYPE = 100;
const MAX_TYPES = 1000;
const LONG = 8;

function isSlip(own: string, meant: string): boolean {
  return own.length < 2 * meant.length && leven(own, meant) <= (meant.length >= LONG ? 2 : 1);
}

function letters(name: string): string {
  return name.replace(/[^\p{L}\p{N}]/gu, '').toLowerCase();
}
