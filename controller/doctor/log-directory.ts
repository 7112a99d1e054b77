/**
 * Whether audit logs can be written: the directory of runs, or the nearest folder above it that exists, with
 * its owner, its mode and the space behind it. Creates nothing.
 */
import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Finding } from '../backends/backend.ts';
import { failed, ok, warning } from './finding.ts';

const LOGS = 'log directory';
const SPACE = 'disk space';

/** Without space no event can be written, and without that nothing is allowed: a busy build writes megabytes. */
const LEAST_BYTES = 16 * 1024 * 1024;
/** Room for the logs of some weeks. */
const COMFORTABLE_BYTES = 256 * 1024 * 1024;
/** A path has fewer folders than this. */
const DEPTH = 256;

export interface FolderFacts {
  readonly path: string;
  readonly directory: boolean;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: number;
  readonly writable: boolean;
  /** Null where the file system does not tell. */
  readonly freeBytes: number | null;
}

/** `root` is where runs lie; `uid` is the caller's. */
export async function checkLogDirectory(root: string, uid: number): Promise<readonly Finding[]> {
  const facts = await nearestFolder(root);
  if (facts === null)
    return [failed(LOGS, `no folder above ${root} can be seen`, 'set XDG_STATE_HOME to a folder of yours')];
  return judgeLogDirectory(root, facts, uid);
}

export function judgeLogDirectory(root: string, facts: FolderFacts, uid: number): readonly Finding[] {
  return [judgeFolder(root, facts, uid), judgeSpace(facts)];
}

function judgeFolder(root: string, facts: FolderFacts, uid: number): Finding {
  const { path, mode } = facts;
  const shown = mode.toString(8).padStart(4, '0');
  if (!facts.directory)
    return failed(LOGS, `${path} is no folder`, `mv ${quote(path)} ${quote(`${path}.old`)}`);
  if (!facts.writable) {
    // A folder above the logs is not sand's: no command that would change the owner of, say, / is offered.
    const own = `sudo chown -R "$(id -u)" ${quote(path)}`;
    const remedy = path === root ? own : 'set XDG_STATE_HOME to a folder that you can write';
    return failed(LOGS, `${path} cannot be written`, remedy);
  }
  if (path !== root) return ok(LOGS, `${root} can be made`);
  const remedy = `chmod 700 ${quote(path)}`;
  if (facts.owner !== uid) {
    return failed(
      LOGS,
      `${path} belongs to another user (${facts.owner})`,
      `sudo chown -R "$(id -u)" ${quote(path)}`,
    );
  }
  if ((mode & 0o022) !== 0) return failed(LOGS, `${path} can be written by others (mode ${shown})`, remedy);
  if ((mode & 0o077) !== 0) return warning(LOGS, `${path} can be read by others (mode ${shown})`, remedy);
  return ok(LOGS, `${path} can be written, mode ${shown}`);
}

function judgeSpace({ path, freeBytes }: FolderFacts): Finding {
  if (freeBytes === null)
    return warning(SPACE, `the file system of ${path} does not tell what is free`, null);
  const free = `${Math.floor(freeBytes / (1024 * 1024))} MiB free at ${path}`;
  const remedy = 'remove old runs, or set XDG_STATE_HOME to a folder with more space';
  if (freeBytes < LEAST_BYTES) return failed(SPACE, `${free}: too little for a log`, remedy);
  if (freeBytes < COMFORTABLE_BYTES) return warning(SPACE, free, remedy);
  return ok(SPACE, free);
}

/** Null where not even a folder above can be seen. */
async function nearestFolder(root: string): Promise<FolderFacts | null> {
  let path = root;
  for (let level = 0; level < DEPTH; level += 1) {
    const facts = await readFolder(path);
    if (facts !== 'absent') return facts;
    if (dirname(path) === path) return null;
    path = dirname(path);
  }
  return null;
}

async function readFolder(path: string): Promise<FolderFacts | 'absent' | null> {
  try {
    const seen = await stat(path);
    return {
      path,
      directory: seen.isDirectory(),
      mode: seen.mode & 0o7777,
      owner: seen.uid,
      writable: await canWrite(path),
      freeBytes: await freeBytesAt(path),
    };
  } catch (error) {
    const code = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'absent' : null;
  }
}

async function canWrite(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function freeBytesAt(path: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** For a POSIX shell. */
function quote(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
