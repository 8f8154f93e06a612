export interface WorkflowOptions {
  readonly name?: string;
  /** Whether the title of its runs has the dispatch id. Default: yes. */
  readonly namesDispatch?: boolean;
}

/** A workflow file that listens to some event types. */
export function workflowFile(
  types: readonly string[],
  { name = 'E2E', namesDispatch = true }: WorkflowOptions = {},
): string {
  const runName = namesDispatch ? `run-name: ${name} \${{ github.event.client_payload.dispatch_id }}\n` : '';
  return `name: ${name}
${runName}on:
  repository_dispatch:
    types: [${types.join(', ')}]
jobs:
  e2e:
    runs-on: ubuntu-latest
    steps:
      - run: npm test
`;
}
