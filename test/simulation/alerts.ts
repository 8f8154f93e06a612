import type { Random } from './random.ts';

/** An Alert: what it forwards and what it adds. */
export interface Alert {
  readonly severity: 'info' | 'error';
  readonly metadata: Readonly<Record<string, string>>;
}

const FAILED = 'flux-deploy-failed';
const TESTED = 'UpgradeSucceeded,TestSucceeded,ReconciliationSucceeded';

/** What an Alert may ask for, and how many percent of the teams have it. */
const ALERTS: readonly { readonly percent: number; readonly metadata: Alert['metadata'] }[] = [
  { percent: 60, metadata: { dispatch_event: 'flux-deploy' } },
  { percent: 65, metadata: { dispatch_event: FAILED } },
  { percent: 60, metadata: { dispatch_event: 'flux-deploy-recovered' } },
  { percent: 12, metadata: { dispatch_event: 'flux-incident-end', dispatch_on: 'recovery' } },
  { percent: 12, metadata: { dispatch_event: 'flux-any', dispatch_on: 'any' } },
  { percent: 12, metadata: { dispatch_event: 'flux-second' } },
  { percent: 12, metadata: { dispatch_event: 'flux-tested-recovered', dispatch_reasons: TESTED } },
];

/** @param cluster of the Alerts. Default: they name none, or one that no other object has */
export function alertsOf(random: Random, name: string, cluster: string | undefined): readonly Alert[] {
  const repo = `Altinn/${random.pick(['one', 'two', 'Three'])}`;
  const both = `${repo}, Altinn/other`;
  const own = {
    product: 'product',
    env: 'at23',
    ...(cluster === undefined ? random.chance(30) && { cluster: name } : { cluster }),
  };
  const repos = random.chance(10) ? both : repo;
  const wanted = ALERTS.filter(({ percent }) => random.chance(percent));
  return (wanted.length === 0 ? ALERTS.slice(0, 1) : wanted).map(({ metadata }) => ({
    // An Alert for errors gives no success.
    severity: metadata['dispatch_event'] === FAILED && random.chance(60) ? 'error' : 'info',
    metadata: {
      ...own,
      ...metadata,
      dispatch_repo: random.chance(8) ? random.pick([both, 'Altinn/other']) : repos,
    },
  }));
}
