/** What a Flux revision says about the artifact. */
export interface Revision {
  /** `algorithm:hex` of the artifact's content, or undefined for a Helm chart version such as `1.4.2`. */
  readonly digest: string | undefined;
  /** The 7 to 40 hex digits of a Git commit, or undefined where the revision is not a Git one. */
  readonly commitSha: string | undefined;
}

// `<ref>@<algorithm>:<hex>` or the digest alone. A ref may hold `/`, `@`, `:` and spaces, so the digest is what ends it.
const WITH_DIGEST = /(?:^|@)([a-z0-9]+):([0-9a-f]{32,128})$/;
// `<branch>/<commit>`, how Flux wrote Git revisions before v2.0, or the commit alone.
const OLDER_GIT = /(?:^|\/)([0-9a-f]{40})$/;
// What tells a commit in a revision: a short one alone would be any word of digits.
const GIT = /(?:(?:^|@)sha1:|\/)([0-9a-f]{7,40})$/;
// A commit of its own, or a revision of the source that an artifact was built from, which is a Git one.
const COMMIT = /(?:^|(?:^|@)sha1:|\/)([0-9a-f]{7,40})$|(?:^|(?:^|@)sha256:)([0-9a-f]{64})$/;

/**
 * Parses a revision in any form that Flux gives it: `at23@sha256:…` (OCI), `main@sha1:…` (Git), `sha256:…` (bare),
 * `main/<commit>` (older Git), `1.4.2` (Helm chart). Never fails: what is unknown has neither digest nor commit.
 * https://github.com/fluxcd/flux2/tree/main/rfcs/0005-artifact-revision-and-digest
 */
export function parseRevision(revision: string): Revision {
  const [, algorithm, hex] = WITH_DIGEST.exec(revision) ?? [];
  const [, older] = OLDER_GIT.exec(revision) ?? [];
  const [, commitSha = older] = GIT.exec(revision) ?? [];
  if (algorithm !== undefined) return { digest: `${algorithm}:${hex}`, commitSha };
  // The same commit must have the same identity before and after Flux is upgraded to the newer form.
  return { digest: older === undefined ? undefined : `sha1:${older}`, commitSha };
}

/**
 * The commit that metadata names: a SHA of 7 to 40 hex digits, or 64 in a SHA-256 repository, alone or at the end of a Git
 * revision. undefined where it names none.
 */
export function parseCommit(text: string): string | undefined {
  const [, sha1, sha256] = COMMIT.exec(text) ?? [];
  return sha1 ?? sha256;
}
