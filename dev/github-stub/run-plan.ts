import { createHash } from 'node:crypto';
import { z } from 'zod';

const DURATION = 'must be milliseconds, or the least and the most of them: [least, most]';
const ms = z.int(DURATION).nonnegative(DURATION);
const range = z.tuple([ms, ms], DURATION).refine(([least, most]) => least <= most, DURATION);
const duration = z.union([ms, range], DURATION);
const conclusion = z.string().min(1);

/** How the runs of a workflow go. What a plan leaves out is taken from the next more general one. */
export const runPlanSchema = z.strictObject({
  /** From the dispatch to the run. */
  delayMs: duration.optional(),
  /** From the start of the run to its end. For the first tenth of it the run is queued. */
  durationMs: duration.optional(),
  /** `success`, `failure`, …; several are taken in turn. */
  conclusion: z.union([conclusion, z.array(conclusion).min(1)]).optional(),
  /** GitHub loses the dispatch: there is no run. */
  missing: z.boolean().optional(),
  /** What is drawn from a range depends on the seed and on how many runs the workflow has had. */
  seed: z.int().optional(),
});
export type RunPlan = z.input<typeof runPlanSchema>;

export interface ResolvedPlan {
  readonly delayMs: number | readonly [number, number];
  readonly durationMs: number | readonly [number, number];
  readonly conclusions: readonly string[];
  readonly missing: boolean;
  readonly seed: number;
}

/**
 * The plan where several apply; the more general ones come first. By default a run starts at once and succeeds after
 * 1 s.
 */
export function resolvePlan(...plans: readonly (RunPlan | undefined)[]): ResolvedPlan {
  const given = plans.filter(plan => plan !== undefined).reverse();
  const find = <K extends keyof RunPlan>(key: K) => given.find(plan => plan[key] !== undefined)?.[key];
  return {
    delayMs: find('delayMs') ?? 0,
    durationMs: find('durationMs') ?? 1000,
    conclusions: [find('conclusion') ?? 'success'].flat(),
    missing: find('missing') ?? false,
    seed: find('seed') ?? 1,
  };
}

/** How one run goes. */
export interface DrawnRun {
  readonly delayMs: number;
  readonly durationMs: number;
  readonly conclusion: string;
}

/**
 * How the run number `turn` (from 0) of a workflow goes. The same arguments always give the same run.
 * @param workflow any name that tells it from others
 */
export function drawRun(plan: ResolvedPlan, workflow: string, turn: number): DrawnRun {
  const draw = (what: 'delayMs' | 'durationMs') => {
    const range = plan[what];
    if (typeof range === 'number') return range;
    const [least, most] = range;
    const digest = createHash('sha256').update(`${plan.seed} ${workflow} ${turn} ${what}`).digest();
    return least + (digest.readUInt32BE() % (most - least + 1));
  };
  const conclusion = plan.conclusions[turn % plan.conclusions.length];
  if (conclusion === undefined) throw new Error('A plan without conclusions');
  return { delayMs: draw('delayMs'), durationMs: draw('durationMs'), conclusion };
}
