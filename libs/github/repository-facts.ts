import type { ApiCall } from './api-result.ts';
import type { WorkflowFile } from './workflow-file.ts';

/** What GitHub says of a repository, as far as it was asked and answered. */
export interface RepositoryFacts {
  readonly repository: Fact<Repository>;
  /** What stands in `.github/workflows` on the default branch; `missing` where there is no such folder. */
  readonly files: Fact<WorkflowFiles>;
  /** Every workflow that GitHub has registered, on whichever branch its file is. */
  readonly registered: Fact<RegisteredWorkflows>;
  /** Whether Actions is enabled; undefined where the App may not see it or nobody asked. */
  readonly actionsEnabled: boolean | undefined;
}

export type Fact<T> = { readonly kind: 'read'; readonly value: T } | Unread;

/** Why there is no fact. */
export type Unread =
  /** 404 to this call. */
  | { readonly kind: 'missing'; readonly call: ApiCall }
  | { readonly kind: 'moved'; readonly owner: string }
  | { readonly kind: 'suspended' }
  | { readonly kind: 'forbidden' }
  /** GitHub says that Actions is disabled. */
  | { readonly kind: 'disabled' }
  | { readonly kind: 'unavailable'; readonly reason: string }
  /** What was known by then was enough. */
  | { readonly kind: 'not_asked' };

export interface Repository {
  /** `owner/name` as GitHub has it now: another than was asked for, where the repository was renamed. */
  readonly fullName: string;
  readonly defaultBranch: string;
  readonly archived: boolean;
  /** By GitHub, such as for a breach of its terms. */
  readonly disabled: boolean;
}

export interface WorkflowFiles {
  /** The files that were read, in the order of their names. */
  readonly files: readonly { readonly path: string; readonly file: WorkflowFile }[];
  /** The paths of all the workflow files in the folder, read or not. */
  readonly paths: readonly string[];
  /** Whether there are workflow files past the number that is read. */
  readonly cut: boolean;
  /** Whether there are folders, in which GitHub does not look. */
  readonly hasFolders: boolean;
}

export interface RegisteredWorkflows {
  /** The state of each by its path: `active`, `deleted`, `disabled_manually`, `disabled_inactivity`, `disabled_fork`. */
  readonly states: ReadonlyMap<string, string>;
  /** Whether these are all of them. */
  readonly complete: boolean;
}
