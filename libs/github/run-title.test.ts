import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type RunTitle, readRunTitle } from './run-title.ts';

const ID = 'github.event.client_payload.dispatch_id';

test.each<[runName: string, title: RunTitle]>([
  ['', 'event_type'],
  [' \n', 'event_type'],
  [`\${{ github.event.action }}`, 'event_type'],
  [` \${{github.event['action']}} `, 'event_type'],
  [`\${{ github.event.action || 'by hand' }}`, 'event_type'],

  [`\${{ ${ID} }}`, 'dispatch_id'],
  [`\${{${ID}}}`, 'dispatch_id'],
  [`e2e in \${{ inputs.environment }} [\${{ ${ID} }}]`, 'dispatch_id'],
  [`\${{ GitHub.Event.Client_Payload.Dispatch_Id }}`, 'dispatch_id'],
  [`\${{ github.event.client_payload['dispatch_id'] }}`, 'dispatch_id'],
  [`\${{ github['event']['client_payload'][ 'dispatch_id' ] }}`, 'dispatch_id'],
  [`\${{ github . event\n. client_payload . dispatch_id }}`, 'dispatch_id'],
  [`\${{ ${ID} || github.sha }}`, 'dispatch_id'],
  [`\${{ github.event_name == 'push' && github.sha || ${ID} }}`, 'dispatch_id'],
  [`\${{ format('{0} }} {1}', 'it''s', ${ID}) }}`, 'dispatch_id'],
  [`\${{ join(github.event.client_payload.*, ' ') }}`, 'dispatch_id'],
  [`\${{ join(github.event.client_payload[*]) }}`, 'dispatch_id'],
  [`\${{ toJSON(github.event.client_payload) }}`, 'dispatch_id'],
  [`\${{ tojson( github.event ) }}`, 'dispatch_id'],
  [`run \${{ toJSON(github) }}`, 'dispatch_id'],

  ['E2E', 'other'],
  [ID, 'other'],
  [`\${ ${ID} }`, 'other'],
  [`\${{ ${ID}`, 'other'],
  [`\${{ '${ID}' }}`, 'other'],
  [`\${{ github.event.action }} of \${{ github.actor }}`, 'other'],
  [`e2e \${{ github.event.action }}`, 'other'],
  [`\${{ github.event.client_payload.environment }}`, 'other'],
  [`\${{ github.event.client_payload }}`, 'other'],
  [`\${{ toJSON(github.event.client_payload.flux) }}`, 'other'],
  [`\${{ ${ID}s }}`, 'other'],
  [`\${{ inputs.dispatch_id }}`, 'other'],
  [`\${{ my${ID} }}`, 'other'],
  [`\${{ vars.NAME }}`, 'other'],
])('%j', (runName, title) => {
  expect(readRunTitle(runName)).toBe(title);
});

test('no text makes it throw or takes it long', () => {
  const piece = fc.constantFrom(`\${{`, '}}', "'", '[', ']', ID, 'github', '.event', ' ', 'toJSON(', ')');
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), pieces => {
      expect(['event_type', 'dispatch_id', 'other']).toContain(readRunTitle(pieces.join('')));
    }),
  );
  const usage = process.cpuUsage();
  for (const hard of [`\${{`, `\${{'`, "['", ' ', `\${{github.`]) readRunTitle(hard.repeat(500_000));
  expect(process.cpuUsage(usage).user / 1e6).toBeLessThan(10);
});
