import { z } from 'zod';
import { repositoryName } from './repository-name.ts';
import { runPlanSchema } from './run-plan.ts';

export const DEFAULT_WORKFLOW = '.github/workflows/flux.yaml';

/** The files of a repository without settings of its own: one workflow, which every dispatch starts. */
export const DEFAULT_FILES: Readonly<Record<string, string>> = {
  [DEFAULT_WORKFLOW]: `name: flux
run-name: \${{ github.event.action }} [\${{ github.event.client_payload.dispatch_id }}]
on: repository_dispatch
jobs:
  deployed:
    runs-on: ubuntu-latest
    steps:
      - run: 'true'
`,
};

/** The message of a record for an invalid key. Zod does not use the message of the key's schema. */
const keyMust = (be: string) => ({
  error: ({ code }: { readonly code?: string }) =>
    code === 'invalid_key' ? `the key must be ${be}` : undefined,
});
const PATH = 'a path from the root of the repository, such as "README.md"';
const path = z.string().regex(/^[^/]+(?:\/[^/]+)*$/, `must be ${PATH}`);
const byPath = <T extends z.ZodType>(value: T) => z.record(path, value, keyMust(PATH));
const files = byPath(z.string());
const disabledState = z.enum(['deleted', 'disabled_fork', 'disabled_inactivity', 'disabled_manually']);

const repository = z
  .strictObject({
    archived: z.boolean().optional(),
    actionsDisabled: z.boolean().optional(),
    defaultBranch: z.string().min(1).optional(),
    /** Path to text, on the default branch. Default: {@link DEFAULT_FILES}. */
    files: files.optional(),
    /** Branch to its files. */
    otherBranches: z.record(z.string().min(1), files).optional(),
    /** The paths of workflows that somebody disabled, or path to the state that GitHub shows. */
    disabled: z.union([z.array(path), byPath(disabledState)]).optional(),
    runs: runPlanSchema.optional(),
    runsByWorkflow: byPath(runPlanSchema).optional(),
  })
  .check(({ value, issues }) => {
    const known = value.files ?? DEFAULT_FILES;
    for (const workflow of Object.keys(value.runsByWorkflow ?? {})) {
      if (Object.hasOwn(known, workflow)) continue;
      const message = `there is no ${workflow} on the default branch`;
      issues.push({ code: 'custom', message, path: ['runsByWorkflow'], input: value });
    }
  });
export type RepositorySettings = z.output<typeof repository>;

/** GitHub Actions: what the App may see of it, which workflows there are, and how their runs go. */
export const actionsSchema = z.strictObject({
  /** The App's permission "Actions". */
  permission: z.enum(['read', 'none']).default('read'),
  /** The App's permission "Administration", with which it may see whether Actions is enabled. */
  administration: z.enum(['read', 'none']).default('none'),
  /** The plan of every run, unless its repository or its workflow has one. */
  runs: runPlanSchema.optional(),
  /** By "owner/name" in any case. */
  repositories: z.record(repositoryName, repository, keyMust('"owner/name"')).default({}),
});
export type ActionsSettings = z.input<typeof actionsSchema>;
export type ParsedActionsSettings = z.output<typeof actionsSchema>;
