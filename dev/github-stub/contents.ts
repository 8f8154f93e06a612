import { createHash } from 'node:crypto';
import type { Files, Repository } from './repositories.ts';
import { htmlUrl } from './repository-resource.ts';

// GitHub lists at most 1,000 entries of a directory, and returns the content of files up to 1 MB.
const MAX_ENTRIES = 1000;
const MAX_CONTENT_BYTES = 1024 * 1024;

/** Where contents are read from. */
interface Source {
  readonly repository: Repository;
  /** The branch. */
  readonly ref: string;
  /** The base URL of this API. */
  readonly api: string;
}

/**
 * The answer of `GET /repos/{owner}/{repo}/contents/{path}`: a file, or what a directory lists. Undefined where there
 * is neither.
 * @param path from the root, `''` for the root itself
 */
export function contentsAt(files: Files, path: string, source: Source) {
  const text = files.get(path);
  if (text === undefined) return listDirectory(files, path, source);
  const content = Buffer.from(text);
  const encoded = content.length > MAX_CONTENT_BYTES ? '' : content.toString('base64');
  return {
    ...entry('file', path, content, source),
    // As at GitHub in lines of 60 characters.
    content: encoded.replace(/.{1,60}/g, '$&\n'),
    encoding: content.length > MAX_CONTENT_BYTES ? 'none' : 'base64',
  };
}

function listDirectory(files: Files, path: string, source: Source) {
  const prefix = path === '' ? '' : `${path}/`;
  const names = new Map<string, string | undefined>();
  for (const [file, text] of files) {
    if (!file.startsWith(prefix)) continue;
    const [name = '', ...rest] = file.slice(prefix.length).split('/');
    names.set(name, rest.length === 0 ? text : undefined);
  }
  if (names.size === 0 && path !== '') return undefined;
  return [...names]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, MAX_ENTRIES)
    .map(([name, text]) =>
      text === undefined
        ? entry('dir', `${prefix}${name}`, Buffer.alloc(0), source)
        : entry('file', `${prefix}${name}`, Buffer.from(text), source),
    );
}

function entry(type: 'file' | 'dir', path: string, content: Buffer, { repository, ref, api }: Source) {
  const { owner, name } = repository;
  const base = `${api}/repos/${owner}/${name}`;
  const [encodedPath, encodedRef] = [encodeURI(path), encodeURI(ref)];
  // The id that Git gives a file. That of a directory is made up: it would depend on the entries.
  const sha = createHash('sha1')
    .update(`${type === 'file' ? 'blob' : 'tree'} ${content.length}\0`)
    .update(content)
    .digest('hex');
  const url = `${base}/contents/${encodedPath}?ref=${encodeURIComponent(ref)}`;
  const git_url = `${base}/git/${type === 'file' ? 'blobs' : 'trees'}/${sha}`;
  const html_url = `${htmlUrl(repository)}/${type === 'file' ? 'blob' : 'tree'}/${encodedRef}/${encodedPath}`;
  return {
    name: path.split('/').at(-1) ?? '',
    path,
    sha,
    size: content.length,
    url,
    html_url,
    git_url,
    download_url:
      type === 'file'
        ? `https://raw.githubusercontent.com/${owner}/${name}/${encodedRef}/${encodedPath}`
        : null,
    type,
    _links: { self: url, git: git_url, html: html_url },
  };
}
