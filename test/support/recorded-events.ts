import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Fixture {
  readonly file: string;
  readonly signature: string;
  readonly outcome: string;
  /** Byte for byte what the real client sends. */
  readonly body: Buffer;
}

/** The webhook bodies of a folder of `test/fixtures`, in the order of its index, and the token that they are signed with. */
export function loadFixtures(folder: 'flux-events' | 'flux-streams'): { token: string; events: Fixture[] } {
  const directory = join(import.meta.dirname, '../fixtures', folder);
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    token: string;
    events: Omit<Fixture, 'body'>[];
  };
  const events = index.events.map(event => ({ ...event, body: readFileSync(join(directory, event.file)) }));
  return { token: index.token, events };
}

/** What ingest received from real controllers while something was done to a cluster, in order. */
export interface Story {
  readonly requests: readonly { readonly signature: string; readonly body: string }[];
}

/** The token that the recorded stories are signed with. */
export const STORY_TOKEN = 'flux-real-fixture-token';

/** A story of `test/fixtures/flux-real`. @param name its file, without `.json` */
export function loadStory(name: string): Story {
  const file = join(import.meta.dirname, '../fixtures/flux-real', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Story;
}
