/** Why no workflow run came of a dispatch that GitHub accepted. */
export interface Finding {
  readonly code: FindingCode;
  /** The cause and its remedy, for the team that owns the workflow: one line of at most 480 characters. */
  readonly message: string;
}

export type FindingCode =
  | 'repository_missing'
  | 'repository_moved'
  | 'repository_archived'
  | 'repository_disabled'
  | 'app_suspended'
  | 'permission_missing'
  | 'actions_disabled'
  | 'workflow_disabled'
  | 'workflow_not_registered'
  /** A workflow listens whose runs do not say which dispatch started them: one may have run. */
  | 'run_not_recognized'
  | 'not_started'
  | 'types_misspelt'
  | 'trigger_misspelt'
  | 'workflow_invalid'
  | 'type_misspelt'
  | 'other_branch'
  | 'no_workflows'
  | 'not_listening'
  | 'unknown';
