import type { Finding } from './finding.ts';
import { actionsDisabled, grant, notListening, RULES, type Workflows } from './missing-run-rules.ts';
import { oneLine, quoted } from './quoted.ts';
import type { Fact, RepositoryFacts, Unread, WorkflowFiles } from './repository-facts.ts';
import { listensTo, type WorkflowFile } from './workflow-file.ts';

const MAX_MESSAGE = 480;
const MAX_REPO = 100;

/**
 * Finds the likeliest reason for which GitHub started no run. Pure.
 * @param repo `owner/name`, as the Alert has it
 * @param eventType that of the dispatch
 */
export function diagnose(facts: RepositoryFacts, repo: string, eventType: string): Finding {
  const { code, message } = findingOf(facts, repo, eventType);
  return { code, message: oneLine(message, MAX_MESSAGE) };
}

function findingOf(facts: RepositoryFacts, repo: string, eventType: string): Finding {
  const { repository, registered, actionsEnabled } = facts;
  if (repository.kind !== 'read') return unreadFinding(repository, oneLine(repo, MAX_REPO), 'Metadata: read');
  const { defaultBranch, archived, disabled } = repository.value;
  const name = oneLine(repository.value.fullName, MAX_REPO);
  if (archived) {
    const message = `${name} is archived, and no workflow runs there. Unarchive it in its settings, or correct dispatch_repo in the Alert.`;
    return { code: 'repository_archived', message };
  }
  if (disabled) {
    const message = `GitHub has disabled ${name}, and no workflow runs there. Ask GitHub Support why, or correct dispatch_repo in the Alert.`;
    return { code: 'repository_disabled', message };
  }
  if (registered.kind === 'disabled' || actionsEnabled === false) return actionsDisabled(name);
  const found = facts.files.kind === 'missing' ? NO_FILES : facts.files;
  if (found.kind !== 'read') return unreadFinding(found, name, 'Contents: read');

  const { files } = found.value;
  const workflows: Workflows = {
    ...found.value,
    ...{ name, eventType, registered, actionsEnabled },
    branch: `the default branch ${quoted(defaultBranch, 40)}`,
    listeners: files.flatMap(({ path, file }) =>
      file.kind === 'workflow' && listensTo(file, eventType) ? [{ path, runTitle: file.runTitle }] : [],
    ),
    listenedTypes: files.flatMap(({ path, file }) => typesOf(file).map(type => ({ path, type }))),
  };
  for (const { code, message } of RULES) {
    const text = message(workflows);
    if (text !== undefined) return { code, message: text };
  }
  return { code: 'not_listening', message: notListening(workflows) };
}

const NO_FILES: Fact<WorkflowFiles> = {
  kind: 'read',
  value: { files: [], paths: [], cut: false, hasFolders: false },
};

function typesOf(file: WorkflowFile): readonly string[] {
  return file.kind === 'workflow' && file.dispatchTypes !== 'all' ? (file.dispatchTypes ?? []) : [];
}

/** @param permission what the App needs to read it */
function unreadFinding(unread: Unread, name: string, permission: string): Finding {
  switch (unread.kind) {
    case 'missing':
      return {
        code: 'repository_missing',
        message: `GitHub no longer shows ${name} to flux-dispatch: it was deleted or renamed, or the GitHub App of flux-dispatch was removed from it. Correct dispatch_repo in the Alert, or install the App on it again.`,
      };
    case 'moved':
      return {
        code: 'repository_moved',
        message: `${name} now belongs to ${oneLine(unread.owner, 40)}. Correct dispatch_repo in the Alert. If events then are refused for their owner, ask the operator of flux-dispatch to add it to ALLOWED_OWNERS.`,
      };
    case 'suspended':
      return {
        code: 'app_suspended',
        message: `The GitHub App of flux-dispatch is suspended on ${name}. An owner of the organization can unsuspend it: Settings, GitHub Apps, Configure.`,
      };
    case 'forbidden':
      return { code: 'permission_missing', message: grant(permission, name) };
    case 'disabled':
      return actionsDisabled(name);
    case 'unavailable':
      return unknown(unread.reason, name);
    case 'not_asked':
      return unknown('it was not asked for', name);
    default:
      return unread satisfies never;
  }
}

function unknown(reason: string, name: string): Finding {
  const message = `No workflow run started; the cause could not be determined: ${oneLine(reason, 200)}. Look for a run, a disabled workflow or an error in the Actions tab of ${name}.`;
  return { code: 'unknown', message };
}
