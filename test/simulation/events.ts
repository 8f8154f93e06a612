import type { Span } from './span.ts';
import type { ControllerEvent } from './steps.ts';

/*
 * What SPEC sections 2 and 3 say about an event by itself. As in model.ts, nothing here comes from libs/ or apps/.
 */

export type Class = 'success' | 'failure';

const SUCCESSES = new Set(['ReconciliationSucceeded', 'InstallSucceeded', 'UpgradeSucceeded']);
const FAILURES = new Set([
  ...[
    'HealthCheckFailed',
    'BuildFailed',
    'ReconciliationFailed',
    'PruneFailed',
    'ArtifactFailed',
    'AccessDenied',
  ],
  ...['UpgradeFailed', 'RollbackSucceeded', 'TestFailed', 'DependencyNotReady'],
]);

/** What an event towards a repository is; undefined where it is neither a success nor a failure. */
export function readEvent(event: ControllerEvent, repo: string) {
  const eventClass = classOf(event);
  if (eventClass === undefined) return undefined;
  const { metadata, kind, name, reason } = event;
  const owner = [metadata['cluster'], metadata['product'], metadata['env'], kind, name];
  const object = [...owner, repo.toLowerCase()].join('|');
  const eventType = metadata['dispatch_event'] ?? '';
  const route = routeOf(event, eventClass, eventType);
  const isLimited = eventClass === 'failure' && !metadata['revision'];
  return {
    ...{ eventClass, object, eventType, route },
    /** Of its stream. */
    key: [object, route === 'recovery' ? 'recovery' : eventClass, eventType].join('|'),
    id: `${reason}|${identityOf(event, eventClass)}`,
    repeat: isLimited ? ('rate_limited' as const) : ('duplicate' as const),
  };
}

/** What an Alert does with an event: a success on one that takes recoveries is one, where it has ended an outage. */
function routeOf({ reason, metadata }: ControllerEvent, eventClass: Class, eventType: string) {
  const byName = /-(failed|recovered)$/.exec(eventType)?.[1] ?? '';
  const takes = metadata['dispatch_on'] ?? { failed: 'failure', recovered: 'recovery' }[byName] ?? 'success';
  if (reasonsOf(metadata)?.includes(reason) === false) return 'none';
  if (takes === 'recovery') return eventClass === 'success' ? 'recovery' : 'none';
  return takes === 'any' || takes === eventClass ? 'dispatch' : 'none';
}

function reasonsOf(metadata: ControllerEvent['metadata']): readonly string[] | undefined {
  return metadata['dispatch_reasons']?.split(',');
}

function classOf({ reason, severity, metadata }: ControllerEvent): Class | undefined {
  const isAskedFor = reason === 'TestSucceeded' && reasonsOf(metadata)?.includes(reason);
  if (SUCCESSES.has(reason) || isAskedFor) return severity === 'error' ? 'failure' : 'success';
  if (!FAILURES.has(reason)) return undefined;
  // A deletion reports the reason of the last condition, with severity info.
  const informs = reason === 'DependencyNotReady' || reason === 'RollbackSucceeded';
  return severity === 'info' && !informs ? undefined : 'failure';
}

function identityOf({ uid, message, metadata }: ControllerEvent, eventClass: Class): string {
  const revision = metadata['revision'] ?? '';
  const digest = /(?:^|@)(sha(?:1|256):[0-9a-f]+)$/.exec(revision)?.[1];
  if (eventClass === 'failure') return digest ?? revision;
  return digest === undefined ? `${uid} ${revision} ${message.split('\n', 1)[0]}` : `${uid} ${digest}`;
}

/** When an event happened: at its arrival where it does not say so, or names a time that has not come. */
export function timeOf({ timestamp }: ControllerEvent, now: Span): Span {
  return timestamp === undefined || timestamp > now.from ? now : { from: timestamp, to: timestamp };
}
