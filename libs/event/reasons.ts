/** Whether an event tells of a deployment that worked, or of one that did not. */
export type ReasonClass = 'success' | 'failure';

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
