/**
 * The policy as it was in the commit that a pull request is compared with: laid out in a folder beside, with the other files
 * that it may extend. Read as git's objects, so that no hook, filter or attribute of the checkout plays a part.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { ActionFailure } from './failure.ts';
import { LIMITS } from './limits.ts';
import { ask } from './process.ts';
import type { Environment } from './runner-files.ts';

export interface BaseRequest {
  readonly workspace: string;
  readonly environment: Environment;
  /** A commit, in full. */
  readonly sha: string;
  readonly folder: string;
}

const SHA = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
const POLICY_FILE = /\.(ya?ml|lock)$/;

/** Fetches the commit where the checkout is shallow. Raises `policy-missing` where it cannot be had. */
export async function createBaseFolder(request: BaseRequest): Promise<void> {
  const { sha, folder } = request;
  if (!SHA.test(sha)) throw missing(sha, 'is no commit');
  if ((await git(request, ['cat-file', '-e', `${sha}^{commit}`])).code !== 0) {
    await git(request, ['fetch', '--no-tags', '--quiet', '--depth=1', 'origin', sha]);
  }
  const listed = await git(request, ['ls-tree', '-r', '-z', '--full-tree', sha]);
  if (listed.code !== 0) throw missing(sha, 'is not in this checkout and could not be fetched');
  const files = parseTree(listed.stdout.toString());
  if (files.length > LIMITS.baseFiles) throw missing(sha, `has more than ${LIMITS.baseFiles} YAML files`);
  mkdirSync(folder);
  const wanted = files.map(({ object }) => `${object}\n`).join('');
  const objects = await git(request, ['cat-file', '--batch'], wanted);
  if (objects.code !== 0) throw missing(sha, 'could not be read');
  const contents = parseBatch(objects.stdout, files.length);
  files.forEach(({ path }, at) => {
    const content = contents[at];
    if (content === undefined) throw missing(sha, 'has policy files that are too large together');
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { flag: 'wx' });
  });
}

export interface TreeFile {
  readonly path: string;
  readonly object: string;
}

/** Ordinary files that may be policies; links are left out, and so is a path that would lead elsewhere. */
export function parseTree(text: string): readonly TreeFile[] {
  return text.split('\0').flatMap((line) => {
    const [, object = '', path = ''] = /^100\d{3} blob ([0-9a-f]+)\t(.+)$/s.exec(line) ?? [];
    const isPlain = path !== '' && posix.normalize(path) === path && !/^(\/|\.\.(\/|$))/.test(path);
    return isPlain && POLICY_FILE.test(path) ? [{ path, object }] : [];
  });
}

/** `OBJECT TYPE SIZE`, the bytes, a line end; in the order that was asked for. Stops at what is not whole. */
export function parseBatch(bytes: Buffer, count: number): readonly Buffer[] {
  const contents: Buffer[] = [];
  let at = 0;
  while (contents.length < count) {
    const end = bytes.indexOf(0x0a, at);
    const size = end < 0 ? null : / blob (\d+)$/.exec(bytes.subarray(at, end).toString())?.[1];
    if (size === null || size === undefined || end + 1 + Number(size) > bytes.length) break;
    contents.push(bytes.subarray(end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size) + 1;
  }
  return contents;
}

function git({ workspace, environment }: BaseRequest, args: readonly string[], input = '') {
  const argv = ['git', '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null', ...args];
  return ask({ argv, cwd: workspace, environment }, LIMITS.toolMs, input);
}

function missing(sha: string, why: string): ActionFailure {
  return new ActionFailure(
    'policy-missing',
    `the commit ${sha.slice(0, 64)} ${why}`,
    'check out with `fetch-depth: 0`, or let the action fetch the base commit',
  );
}
