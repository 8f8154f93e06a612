import { expect, test } from 'vitest';
import { evaluate } from './expression.ts';

const contexts = {
  github: {
    workflow: 'e2e',
    event: {
      action: 'flux-deploy',
      client_payload: {
        dispatch_id: 'abc-1',
        environment: '',
        count: 7,
        ready: false,
        nothing: null,
        flux: { name: 'apps', metadata: { 'git-tag': 'v1' }, list: [1] },
        injected: `\${{ github.workflow }}`,
      },
    },
  },
};
const payload = 'github.event.client_payload';

test.each([
  ['no expression', 'no expression'],
  [`e2e [\${{ ${payload}.dispatch_id }}]`, 'e2e [abc-1]'],
  [`\${{${payload}.dispatch_id}}\${{ github.event.action }}`, 'abc-1flux-deploy'],
  [`\${{ ${payload}.flux.metadata.git-tag }}`, 'v1'],
  [`\${{ ${payload}['flux'].metadata['git-tag'] }}`, 'v1'],
  [`\${{ ${payload}.count }} \${{ ${payload}.ready }} \${{ ${payload}.nothing }}`, '7 false '],
  [`\${{ ${payload}.flux }} \${{ ${payload}.flux.list }}`, 'Object Array'],
  [`[\${{ ${payload}.no.such }}] [\${{ inputs.environment }}] [\${{ github.toString }}]`, '[] [] []'],
  [`\${{ ${payload}.environment || inputs.environment || 'it''s }} none' }}`, "it's }} none"],
  [`\${{ ${payload}.dispatch_id || 'none' }}`, 'abc-1'],
  [`[\${{ ${payload}.environment || inputs.environment }}]`, '[]'],
  // What a payload brings along is text.
  [`\${{ ${payload}.injected }}`, `\${{ github.workflow }}`],
  // Not known here, so empty.
  [
    `[\${{ format('{0}', github.workflow) }}] [\${{ }}] [\${{ github.workflow || }}] [\${{ a == b }}]`,
    '[] [] [] []',
  ],
  [`unclosed \${{ github.workflow`, `unclosed \${{ github.workflow`],
])('%s', (text, expected) => {
  expect(evaluate(text, contexts)).toBe(expected);
});
