import { parseEvent } from '@flux-dispatch/event/event';
import { fluxEvent, ociRevision } from '@flux-dispatch/testbed/flux';
import { expect, test } from 'vitest';
import { readAlert } from './alert.ts';

function alertOf(metadata: Record<string, string>) {
  const parsed = parseEvent(fluxEvent({ namespace: 'product-x', metadata }));
  if (!parsed.ok) throw new Error(parsed.fault);
  return readAlert(parsed.event, { DEFAULT_DISPATCH_EVENT: 'flux-deploy' });
}

const ABSENT = {
  ...{ product: 'product-x', env: '', cluster: '', dispatch_event: 'flux-deploy' },
  ...{ dispatch_repo: undefined, dispatch_on: undefined, revision: undefined, originRevision: undefined },
  ...{ dispatch_reasons: undefined, commit: undefined },
  rest: {},
};

test('absent keys have their defaults', () => {
  expect(alertOf({})).toEqual(ABSENT);
});

test('an empty value is a value, but for a revision', () => {
  const keys = Object.keys(ABSENT).filter(key => key !== 'rest' && key !== 'commit');
  expect(alertOf(Object.fromEntries(keys.map(key => [key, ''])))).toEqual({
    ...{ product: '', env: '', cluster: '', dispatch_repo: '', dispatch_event: '', dispatch_on: '' },
    ...{ dispatch_reasons: [''], commit: undefined },
    ...{ revision: undefined, originRevision: undefined, rest: {} },
  });
});

test('values as they are, revisions parsed, and the rest in its order', () => {
  const sha = 'a63b3a440d34a42168e949f527554da1c3ecc932';
  const revision = ociRevision('at23', 'a');
  const own = {
    ...{ product: 'dialogporten', env: 'at23', cluster: 'north' },
    ...{ dispatch_repo: ' a / b ', dispatch_event: 'a b', dispatch_on: 'always' },
  };
  const rest = { commit: sha, commit_status: 'update', summary: 'prod' };
  const dispatch_reasons = 'UpgradeSucceeded, TestSucceeded';
  const alert = alertOf({ ...own, ...rest, dispatch_reasons, revision, originRevision: `main@sha1:${sha}` });
  expect(alert).toEqual({
    ...own,
    revision: { text: revision, digest: revision.replace('at23@', ''), commitSha: undefined },
    originRevision: `main@sha1:${sha}`,
    dispatch_reasons: ['UpgradeSucceeded', 'TestSucceeded'],
    commit: sha,
    rest,
  });
  expect(Object.keys(alert.rest)).toEqual(Object.keys(rest));
});
