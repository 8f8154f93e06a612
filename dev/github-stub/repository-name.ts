import { createHash } from 'node:crypto';
import { z } from 'zod';

/** "owner/name" in any case; in lower case once parsed. */
export const repositoryName = z
  .string()
  .regex(/^[\w.-]+\/[\w.-]+$/, 'must be "owner/name"')
  .transform(name => name.toLowerCase());

/** Whether GitHub would allow an owner or a repository of this name. */
export function isName(name: string): boolean {
  return /^[\w.-]{1,100}$/.test(name) && name !== '.' && name !== '..';
}

/** A repository's number, which depends on nothing but its name ("owner/name", any case). */
export function repositoryId(name: string): number {
  return createHash('sha256').update(name.toLowerCase()).digest().readUInt32BE();
}
