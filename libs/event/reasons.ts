/** Whether an event reports a deployment that worked, or one that did not. */
export type EventClass = 'success' | 'failure';

/** What a dispatch is about. A recovery is the first success after an outage. */
export type ReasonClass = EventClass | 'recovery';

/** The success that counts only where an Alert names it in `dispatch_reasons`. */
export const OPTIONAL_SUCCESS_REASON = 'TestSucceeded';

/**
 * The failures that Flux reports with severity info. Any other failure reason with severity info is what the Ready
 * condition of an object said last, at the deletion of the object.
 */
export const INFO_FAILURE_REASONS: readonly string[] = ['DependencyNotReady', 'RollbackSucceeded'];

/** Reasons of kustomize-controller and helm-controller for a deployment that is in place. */
export const SUCCESS_REASONS: readonly string[] = [
  'ReconciliationSucceeded',
  'InstallSucceeded',
  'UpgradeSucceeded',
];

/** Reasons of the same for one that is not. A rollback that succeeded is a release that failed. */
export const FAILURE_REASONS: readonly string[] = [
  'ReconciliationFailed',
  'ValidationFailed',
  'BuildFailed',
  'HealthCheckFailed',
  'PruneFailed',
  'DependencyNotReady',
  'ArtifactFailed',
  'AccessDenied',
  'InvalidCELExpression',
  'FeatureGateDisabled',
  'DirCreationFailed',
  'InstallFailed',
  'UpgradeFailed',
  'TestFailed',
  'RollbackFailed',
  'RollbackSucceeded',
  'UninstallFailed',
  'ValuesError',
  'DriftCorrectionFailed',
];
