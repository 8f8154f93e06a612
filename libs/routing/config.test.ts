import { FAILURE_REASONS, SUCCESS_REASONS } from '@flux-dispatch/event/reasons';
import { expect, test } from 'vitest';
import { DEFAULT_ROUTING, parseRoutingConfig } from './config.ts';

test('the defaults', () => {
  expect(DEFAULT_ROUTING).toEqual({
    ALLOWED_OWNERS: ['Altinn'],
    REJECT_STATUS: 422,
    DEFAULT_DISPATCH_EVENT: 'flux-deploy',
    SUCCESS_REASONS,
    FAILURE_REASONS,
    DEPENDENCY_GRACE: 300_000,
    RATE_LIMIT_INTERVAL: 3_600_000,
  });
});

test.each([
  [{ SUCCESS_REASONS: 'Promoted' }, undefined],
  [{ SUCCESS_REASONS: 'BuildFailed', FAILURE_REASONS: 'Aborted' }, undefined],
  [{ SUCCESS_REASONS: 'Promoted, BuildFailed' }, 'BuildFailed'],
  [{ FAILURE_REASONS: 'InstallSucceeded' }, 'InstallSucceeded'],
  [{ SUCCESS_REASONS: 'A,B,C', FAILURE_REASONS: 'C , B' }, 'B, C'],
])('%j share the reasons %s', (env, shared) => {
  const parsed = parseRoutingConfig(env);
  const message = `SUCCESS_REASONS and FAILURE_REASONS must not share a reason: ${shared}`;
  expect(parsed.ok ? [] : parsed.faults).toEqual(
    shared === undefined ? [] : [{ variable: 'SUCCESS_REASONS', message }],
  );
});
