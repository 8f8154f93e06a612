import { parseEvent } from '@flux-dispatch/event/event';
import { SIGNATURE_HEADER } from '@flux-dispatch/event/signature';
import { type DecideConfig, decide } from '@flux-dispatch/routing/decide';
import type Koa from 'koa';
import { type Answer, answerEnqueue, unavailable } from './answer.ts';
import { authenticate, cannotBeValid, signatureFault } from './authenticate.ts';
import { discard, readBody } from './body.ts';
import type { Enqueue } from './enqueue.ts';
import type { IngestMetrics } from './metrics.ts';
import type { EnqueueRecovery, Recover } from './recover.ts';

export interface HandleDependencies {
  readonly config: DecideConfig & { readonly ALLOW_UNSIGNED: boolean; readonly MAX_BODY_BYTES: number };
  /** The tokens that events are signed with. */
  readonly tokens: () => Promise<readonly Buffer[]>;
  readonly enqueue: Enqueue;
  readonly enqueueRecovery: EnqueueRecovery;
  readonly recover: Recover;
  readonly metrics: Pick<IngestMetrics, 'received' | 'reasonLabel'>;
}

/** `verify → parse → decide → enqueue`: the first step that has an answer ends it. */
export async function handleEvent(
  request: Koa.Request,
  { config, tokens, enqueue, enqueueRecovery, recover, metrics }: HandleDependencies,
): Promise<Answer> {
  const signature = request.get(SIGNATURE_HEADER);
  if (cannotBeValid(signature, config) && (request.length ?? 0) <= config.MAX_BODY_BYTES) {
    discard(request.req);
    return { outcome: 'invalid_signature', message: signatureFault(signature) };
  }
  const read = await readBody(request.req, request.length, config.MAX_BODY_BYTES);
  if (!read.ok) return read.answer;
  const sender = authenticate(read.body, signature, await tokens(), config);
  if (!sender) return { outcome: 'invalid_signature', message: signatureFault(signature) };

  const parsed = parseEvent(read.body);
  if (!parsed.ok) return { outcome: 'invalid_payload', message: parsed.fault };
  const { event } = parsed;
  metrics.received.inc({ reason: metrics.reasonLabel(event.reason) });

  const decision = decide(event, sender, config);
  const about = { event, alert: decision.alert };
  if (decision.kind === 'skip' && decision.recovery) {
    // Flux may report this success only once: as long as it cannot be noted, it is to be sent again.
    const away = await recover(decision.recovery);
    if (away) return { ...unavailable(away), about };
  }
  switch (decision.kind) {
    case 'skip':
    case 'reject':
      return { outcome: decision.outcome, message: decision.message, about };
    case 'recover':
      return { ...answerEnqueue(await enqueueRecovery(decision)), about };
    case 'enqueue':
      return { ...answerEnqueue(await enqueue(decision.candidates)), about };
    default:
      return decision satisfies never;
  }
}
