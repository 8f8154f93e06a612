import { randomUUID } from 'node:crypto';
import type { Dispatch } from '@flux-dispatch/queue/dispatch';

let number = 0;
/** A dispatch as ingest queues it, unlike any other. */
export function testDispatch(values: Partial<Dispatch> = {}): Dispatch {
  number++;
  return {
    version: 1,
    dedup_id: number.toString(16).padStart(64, '0'),
    repo: 'Altinn/dialogporten',
    event_type: 'flux-deploy',
    object_id: number.toString(16).padStart(64, 'a'),
    class: 'success',
    event_time: 1_772_712_000,
    accepted_at: Date.now(),
    stream_id: number.toString(16).padStart(64, 'b'),
    claim: { delivered_ttl_ms: 3_600_000 },
    ...values,
    payload: {
      product: 'dialogporten',
      environment: 'at23',
      commit_sha: '',
      revision: '',
      kustomization_name: 'dialogporten-apps',
      reason: 'ReconciliationSucceeded',
      message: '',
      dispatch_id: randomUUID(),
      flux: {
        ...{ kind: 'Kustomization', namespace: 'n', name: 'n', severity: 'info', timestamp: '' },
        ...{ origin_revision: '', cluster: '', controller: '', metadata: {} },
      },
    },
  };
}
