import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCommit, parseRevision } from './revision.ts';

const SHA1 = 'a63b3a440d34a42168e949f527554da1c3ecc932';
const SHA256 = 'a0313152b69bb3a75fca2346d15444b3115c21b8abe39baa20fb5f9d578cb6b0';

describe('every form that Flux gives a revision', () => {
  const oci = { digest: `sha256:${SHA256}`, commitSha: undefined };
  const git = { digest: `sha1:${SHA1}`, commitSha: SHA1 };
  const neither = { digest: undefined, commitSha: undefined };

  test.each([
    ['OCI tag and digest', `at23@sha256:${SHA256}`, oci],
    ['OCI digest alone', `sha256:${SHA256}`, oci],
    ['Git branch and commit', `main@sha1:${SHA1}`, git],
    ['Git commit alone', `sha1:${SHA1}`, git],
    ['a branch with slashes', `release/2026-03@sha1:${SHA1}`, git],
    ['a branch with @', `user@feature@sha1:${SHA1}`, git],
    ['a full Git reference', `refs/heads/main@sha1:${SHA1}`, git],
    ['a tag with spaces and colons', `v1: first try@sha256:${SHA256}`, oci],
    ['Git before v2.0', `main/${SHA1}`, git],
    ['the same, of a branch with slashes', `release/2026-03/${SHA1}`, git],
    ['the same, of a detached HEAD', SHA1, git],
    ['a commit of a SHA-256 repository', `main@sha256:${SHA256}`, oci],
    ['Helm chart version', '1.4.2', neither],
    ['Helm chart version with build metadata', '1.4.2+9933f58f8bf4', neither],
    ['nothing', '', neither],
    ['a digest cut short', `at23@sha256:${SHA256.slice(0, 12)}`, neither],
    ['something after the digest', `at23@sha256:${SHA256}-dirty`, neither],
    ['a commit that is part of a word', `main-${SHA1}`, neither],
  ])('%s: %s', (_, revision, expected) => {
    expect(parseRevision(revision)).toEqual(expected);
  });
});

describe('the commit that metadata names', () => {
  const SHORT = SHA1.slice(0, 7);
  test.each([
    ['a SHA', SHA1, SHA1],
    ['a short SHA', SHORT, SHORT],
    ['of a SHA-256 repository', SHA256, SHA256],
    ['a Git revision', `main@sha1:${SHA1}`, SHA1],
    ['a short one', `main@sha1:${SHORT}`, SHORT],
    ['a Git revision of a SHA-256 repository', `main@sha256:${SHA256}`, SHA256],
    ['the older form', 'release/2026-03/731f7eaddfb6af', '731f7eaddfb6af'],
    ['too short', SHA1.slice(0, 6), undefined],
    ['too long', `${SHA1}a`, undefined],
    ['upper case', SHA1.toUpperCase(), undefined],
    ['something else', 'v1.4.2', undefined],
    ['nothing', '', undefined],
  ])('%s', (_, text, commit) => {
    expect(parseCommit(text)).toBe(commit);
  });

  test.each([
    ['an older Git revision may be short', 'main/731f7eaddfb6af', '731f7eaddfb6af'],
    ['the digest of an artifact is none', `at23@sha256:${SHA256}`, undefined],
    ['digits alone may be a version', '20260305', undefined],
  ])('in the revision itself: %s', (_, revision, commitSha) => {
    expect(parseRevision(revision).commitSha).toBe(commitSha);
  });
});

test('a commit keeps its identity when Flux is upgraded to the newer form', () => {
  expect(parseRevision(`main/${SHA1}`)).toEqual(parseRevision(`main@sha1:${SHA1}`));
});

describe('properties', () => {
  const hex = (length: number) =>
    fc
      .array(fc.constantFrom(...'0123456789abcdef'), { minLength: length, maxLength: length })
      .map(digits => digits.join(''));
  const digest = fc.oneof(
    hex(40).map(digits => `sha1:${digits}`),
    hex(64).map(digits => `sha256:${digits}`),
  );
  const ref = fc
    .array(fc.oneof(fc.constantFrom('/', '@', ':', ' '), fc.string()))
    .map(parts => parts.join(''));
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    ref,
    fc.tuple(ref, digest).map(parts => parts.join('@')),
  );

  test('nothing makes it throw, and a digest is always what the revision ends with', () => {
    fc.assert(
      fc.property(anything, revision => {
        const { digest, commitSha } = parseRevision(revision);
        if (digest !== undefined) expect(revision.endsWith(digest.replace(/^.*:/, ''))).toBe(true);
        if (commitSha !== undefined) expect(digest).toBe(`sha1:${commitSha}`);
      }),
    );
  });

  test('whatever the ref holds, the digest is found', () => {
    fc.assert(
      fc.property(ref, digest, (ref, digest) => {
        expect(parseRevision(`${ref}@${digest}`).digest).toBe(digest);
      }),
    );
  });

  test('every branch and commit is the same in both forms of Git', () => {
    fc.assert(
      fc.property(ref, hex(40), (ref, sha) => {
        expect(parseRevision(`${ref}/${sha}`)).toEqual(parseRevision(`${ref}@sha1:${sha}`));
      }),
    );
  });
});
