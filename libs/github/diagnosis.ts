import type { App } from './app.ts';
import type { Stop } from './ask.ts';
import { diagnose } from './diagnose.ts';
import type { Finding } from './finding.ts';
import { readRepository } from './read-repository.ts';

/** `held` and `limited`: it was not looked for to the end, and can be tried again. */
export type Diagnosis = Stop | { readonly kind: 'finding'; readonly finding: Finding };

export interface DiagnosisOptions {
  /** `owner/name`. */
  readonly repo: string;
  readonly eventType: string;
  /** Asked before each call to GitHub. Where it says no, the diagnosis is `held`, and what it rejects with is passed on. */
  readonly mayCall?: (() => Promise<boolean>) | undefined;
}

/**
 * Finds out why GitHub started no run for a dispatch that it accepted. It takes some calls, at most 104.
 * @throws where `repo` is not `owner/name`
 */
export async function diagnoseMissingRun(app: App, options: DiagnosisOptions): Promise<Diagnosis> {
  const { repo, eventType, mayCall = async () => true } = options;
  const reading = await readRepository(app, repo, eventType, mayCall);
  if (reading.kind !== 'facts') return reading;
  return { kind: 'finding', finding: diagnose(reading.facts, repo, eventType) };
}
