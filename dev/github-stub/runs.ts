import { timestamp } from './account.ts';
import type { ReceivedDispatch } from './dispatch.ts';
import { evaluate } from './expression.ts';
import { NumberedLog } from './numbered-log.ts';
import type { RegisteredWorkflow, Repository } from './repositories.ts';
import { drawRun } from './run-plan.ts';
import type { Workflow } from './workflow.ts';

/** A run, planned whole when its dispatch arrives. Its state follows from the plan and the time: {@link stateAt}. */
export interface Run {
  readonly id: number;
  readonly repositoryId: number;
  readonly owner: string;
  readonly repo: string;
  readonly branch: string;
  readonly workflow: Pick<Workflow, 'path' | 'name'>;
  /** Counts the runs of a workflow. */
  readonly runNumber: number;
  readonly title: string;
  readonly eventType: string;
  /** The `id` of the {@link ReceivedDispatch} that started it. */
  readonly dispatch: number;
  /** `dispatch_id` in the payload of that dispatch. */
  readonly dispatchId: string | null;
  /** Epoch milliseconds, like all times here. */
  readonly createdAt: number;
  readonly startedAt: number;
  readonly completedAt: number;
  readonly conclusion: string;
}

export interface RunState {
  readonly status: 'queued' | 'in_progress' | 'completed';
  /** Null until it is completed. */
  readonly conclusion: string | null;
  /** When it last changed. */
  readonly updatedAt: number;
}

/** A run that exists by now, as the controls show it. */
export type CreatedRun = ReturnType<typeof describeRun>;

/** Undefined before the run is created. */
export function stateAt(run: Run, nowMs: number): RunState | undefined {
  const { createdAt, startedAt, completedAt, conclusion } = run;
  if (nowMs < createdAt) return undefined;
  if (nowMs < startedAt) return { status: 'queued', conclusion: null, updatedAt: createdAt };
  if (nowMs < completedAt) return { status: 'in_progress', conclusion: null, updatedAt: startedAt };
  return { status: 'completed', conclusion, updatedAt: completedAt };
}

function describeRun(run: Run, { status, conclusion, updatedAt }: RunState) {
  return {
    id: run.id,
    dispatch: run.dispatch,
    dispatch_id: run.dispatchId,
    owner: run.owner,
    repo: run.repo,
    event_type: run.eventType,
    workflow: run.workflow.name,
    path: run.workflow.path,
    run_number: run.runNumber,
    display_title: run.title,
    status,
    conclusion,
    created_at: timestamp(run.createdAt),
    updated_at: timestamp(updatedAt),
  };
}

const MAX_RUNS = 50_000;
/** GitHub's ids have long been larger than 32 bits. */
const FIRST_ID = 20_000_000_001;

/** The newest 50,000 workflow runs. */
export class Runs {
  readonly #log = new NumberedLog<Omit<Run, 'id'>>(MAX_RUNS, FIRST_ID);
  readonly #numbers = new Map<string, number>();
  readonly #turns = new Map<string, number>();

  /** Plans the runs of the workflows that listen to a dispatch which the repository has just received. */
  start(repository: Repository, dispatch: ReceivedDispatch, nowMs: number): void {
    if (repository.actionsDisabled) return;
    for (const workflow of repository.workflows) {
      if (workflow.state !== 'active' || workflow.branch !== repository.defaultBranch) continue;
      if (workflow.types !== 'all' && !workflow.types.includes(dispatch.event_type)) continue;
      this.#plan(repository, workflow, dispatch, nowMs);
    }
  }

  /** The next run of each workflow has the first of its plan's conclusions. */
  restartTurns(): void {
    this.#turns.clear();
  }

  /** The runs of a repository that exist by now, newest first. */
  of(repository: Pick<Repository, 'id'>, nowMs: number): Run[] {
    return this.#log.entries
      .filter(run => run.repositoryId === repository.id && run.createdAt <= nowMs)
      .sort((a, b) => b.createdAt - a.createdAt || b.id - a.id);
  }

  /** All runs that exist by now, in the order of their dispatches. */
  list(nowMs: number): CreatedRun[] {
    return this.#log.entries.flatMap(run => {
      const state = stateAt(run, nowMs);
      return state ? [describeRun(run, state)] : [];
    });
  }

  clear(): void {
    this.#log.clear();
    this.#numbers.clear();
    this.#turns.clear();
  }

  #plan(
    repository: Repository,
    workflow: RegisteredWorkflow,
    dispatch: ReceivedDispatch,
    nowMs: number,
  ): void {
    const key = `${repository.id} ${workflow.path}`;
    const turn = next(this.#turns, key);
    if (workflow.plan.missing) return;
    const { delayMs, durationMs, conclusion } = drawRun(workflow.plan, key, turn);
    const createdAt = nowMs + delayMs;
    const { dispatch_id } = dispatch.client_payload;
    this.#log.add({
      repositoryId: repository.id,
      owner: repository.owner,
      repo: repository.name,
      branch: repository.defaultBranch,
      workflow: { path: workflow.path, name: workflow.name },
      runNumber: next(this.#numbers, key) + 1,
      title: runTitle(repository, workflow, dispatch),
      eventType: dispatch.event_type,
      dispatch: dispatch.id,
      dispatchId: typeof dispatch_id === 'string' ? dispatch_id : null,
      createdAt,
      startedAt: createdAt + Math.ceil(durationMs / 10),
      completedAt: createdAt + durationMs,
      conclusion,
    });
  }
}

/** Counts from 0. */
function next(counts: Map<string, number>, key: string): number {
  const count = counts.get(key) ?? 0;
  counts.set(key, count + 1);
  return count;
}

/**
 * The workflow's `run-name`; where that is blank the event type.
 * https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#run-name
 */
function runTitle(
  { owner, name, defaultBranch }: Repository,
  workflow: Workflow,
  { event_type, client_payload }: ReceivedDispatch,
): string {
  const github = {
    event: { action: event_type, branch: defaultBranch, client_payload },
    event_name: 'repository_dispatch',
    ref: `refs/heads/${defaultBranch}`,
    ref_name: defaultBranch,
    repository: `${owner}/${name}`,
    workflow: workflow.name,
  };
  const title = evaluate(workflow.runName ?? '', { github });
  return title.trim() === '' ? event_type : title;
}
