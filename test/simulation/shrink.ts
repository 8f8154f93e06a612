import type { Report } from './run.ts';
import type { History, Step } from './steps.ts';

const MAX_RUNS = 40;

/**
 * Looks for a shorter history that still differs: first the life of one object alone, then ever less of it. Not the shortest
 * that there is, but one that a person can read.
 */
export async function shrink(
  history: History,
  report: Report,
  run: (history: History) => Promise<Report>,
): Promise<{ history: History; report: Report }> {
  const object = report.differences[0]?.object;
  let best = { history, report };
  let runs = 0;
  const attempt = async (steps: readonly Step[]): Promise<boolean> => {
    if (runs++ >= MAX_RUNS) return false;
    const shorter = { ...history, steps };
    const outcome = await run(shorter);
    const differences = outcome.differences.filter(difference => difference.object === object);
    if (differences.length === 0) return false;
    best = { history: shorter, report: { ...outcome, differences } };
    return true;
  };

  await attempt(history.steps.filter(step => step.kind !== 'post' || step.object === object));
  await attempt(best.history.steps.filter(({ kind }) => kind === 'post'));
  for (let size = Math.ceil(best.history.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < best.history.steps.length; ) {
      const { steps } = best.history;
      const shorter = steps.filter((_, index) => index < from || index >= from + size);
      const differs = shorter.length < steps.length && (await attempt(shorter));
      if (!differs) from += size;
    }
  }
  return best;
}
