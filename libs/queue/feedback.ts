/** What a team is to hear about a dispatch, through the repeats of its event that Flux sends anyway. */
export interface Feedback {
  /** `undeliverable`: it is a dead letter. `no_run`: GitHub accepted it, and no workflow run started. */
  readonly outcome: 'undeliverable' | 'no_run';
  /** Why, and what to do about it, in one line. */
  readonly message: string;
}

// Flux cuts nothing off, but the answer becomes a Kubernetes event.
const MAX_LENGTH = 500;

/** Feedback as it stands in Redis: the outcome, a space and the message in one line. */
export function writeFeedback({ outcome, message }: Feedback): string {
  const line = message.toWellFormed().replace(/\s+/g, ' ').trim();
  const characters = [...line.slice(0, 2 * MAX_LENGTH + 2)];
  return `${outcome} ${characters.length > MAX_LENGTH ? `${characters.slice(0, MAX_LENGTH - 1).join('')}…` : line}`;
}

/** Reads feedback as it stands in Redis; undefined where there is none, or none that this version knows. */
export function readFeedback(text: string): Feedback | undefined {
  const [, outcome, message = ''] = /^(\S+) (.*)$/s.exec(text) ?? [];
  return outcome === 'undeliverable' || outcome === 'no_run' ? { outcome, message } : undefined;
}
