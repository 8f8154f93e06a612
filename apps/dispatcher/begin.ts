import type { Dispatch } from '@flux-dispatch/queue/dispatch';
import type { Outages } from '@flux-dispatch/queue/outages';

/** How an attempt at a dispatch begins. */
export type Begun =
  /** With what is sent to GitHub. */
  | { readonly kind: 'send'; readonly dispatch: Dispatch }
  /** It is not to be sent: a failure of an object that has recovered, or a recovery from what GitHub never heard of. */
  | { readonly kind: 'superseded' }
  /** A recovery from an outage of which a failure is under way: it is to come after that, if at all. */
  | { readonly kind: 'wait'; readonly dispatch: Dispatch };

/**
 * Begins an attempt. A failure gets its outage, which may not be known before. The attempt at it has to be ended.
 * @param token of this attempt, unlike that of any other
 */
export async function begin(
  outages: Pick<Outages, 'beginAttempt' | 'stateOf'>,
  dispatch: Dispatch,
  token: string,
): Promise<Begun> {
  switch (dispatch.class) {
    case 'success':
      return { kind: 'send', dispatch };

    case 'failure': {
      const outage = await outages.beginAttempt(dispatch, token);
      if (!outage) return { kind: 'superseded' };
      const { payload } = dispatch;
      const flux = { ...payload.flux, outage };
      return { kind: 'send', dispatch: { ...dispatch, payload: { ...payload, flux } } };
    }

    case 'recovery': {
      const state = await outages.stateOf(dispatch);
      if (state === 'tried') return { kind: 'wait', dispatch };
      const isKnown = state === 'confirmed' || dispatch.outage_confirmed === true;
      return isKnown ? { kind: 'send', dispatch } : { kind: 'superseded' };
    }

    default:
      return dispatch.class satisfies never;
  }
}
