/** A workflow file that listens to one event type, with the dispatch id in the title of its runs. */
function workflow(name: string, eventType: string): string {
  return `name: ${name}
run-name: ${name} [\${{ github.event.client_payload.dispatch_id }}]
on:
  repository_dispatch:
    types: [${eventType}]
jobs:
  run:
    runs-on: ubuntu-latest
    steps:
      - run: echo "What the product team wants to happen"
`;
}

const E2E = { '.github/workflows/e2e.yaml': workflow('e2e after deploy', 'flux-deploy') };
const INCIDENT = { '.github/workflows/incident.yaml': workflow('deploy incident', 'flux-deploy-failed') };

/** The repositories of the scenario, as the stand-in for GitHub is told of them, and how their runs end. */
const REPOSITORIES = {
  'Altinn/dialogporten': { files: { ...E2E, ...INCIDENT } },
  'Altinn/altinn-correspondence': { files: E2E, runs: { conclusion: 'failure' } },
};

/** Puts the workflow files of the scenario into the repositories of a stand-in for GitHub. */
export async function putWorkflows(githubUrl: string): Promise<void> {
  const answer = await fetch(`${githubUrl}/_stub/actions`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ runs: { delayMs: 500, durationMs: 1000 }, repositories: REPOSITORIES }),
  });
  if (!answer.ok) throw new Error(`The stand-in for GitHub refused the workflows: ${await answer.text()}`);
}
