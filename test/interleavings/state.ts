import { createModel } from './model.ts';
import { createOutageModel } from './outages.ts';
import type { Answer } from './schedule.ts';
import type { Work } from './stepped-redis.ts';

/** When each schedule begins, in milliseconds since the epoch. */
export const START = Date.parse('2026-03-05T12:00:00Z');

/** What changes while a schedule runs. */
export interface State {
  now: number;
  /** What GitHub answers. */
  answer: Answer;
  /** What is under way. */
  live: Work[];
  model: ReturnType<typeof createModel>;
  outages: ReturnType<typeof createOutageModel>;
  /** What is not as it must be. */
  wrong: string[];
  events: number;
  attempts: number;
}

export function initialState(answer: Answer = 404): State {
  const model = createModel();
  const outages = createOutageModel(() => model.hasBroken('F') || model.hasBroken('G'));
  return {
    now: START,
    answer,
    live: [],
    model,
    outages,
    wrong: [],
    events: 0,
    attempts: 0,
  };
}
