/**
 * The ground of one verification on the host's disk: a workspace with files that no guest may write, secrets outside of it, the
 * policy, and the guest's program. Tells afterwards what became of the files; removes all that it made.
 */
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Capabilities } from '../backends/backend.ts';
import { NEW_HOOK, PROTECTED, READ_ONLY } from './guest-attacks.ts';
import type { ProgramFile } from './guest-program.ts';

/** Where the workspace and the program are in the guest: where no image has anything. */
export const PLACES: Readonly<
  Record<Capabilities['guestSystem'], { readonly workspace: string; readonly program: string }>
> = {
  linux: { workspace: '/sand-verify', program: '/sand-verify-program' },
  // Nobody makes a folder at the top of macOS.
  macos: { workspace: '/opt/sand-verify', program: '/opt/sand-verify-program' },
};

export interface Ground {
  readonly workspace: string;
  /** Shown to the guest read-only. */
  readonly programFolder: string;
  readonly socketPath: string;
  readonly secretPaths: readonly string[];
  readonly secret: string;
  /** Planted before the guest; the policy's path is absolute. */
  readonly policyPath: string;
  writePolicy(text: string): void;
  /** Into the folder that is shown read-only. */
  stageProgram(files: readonly ProgramFile[]): void;
  /** See `HostEvidence.files`. */
  look(): ReadonlyMap<string, string | null>;
  /** Idempotent. */
  remove(): void;
}

/** Raises what the disk raises; then nothing of it is left. */
export function createGround(home: string): Ground {
  const root = realpathSync.native(mkdtempSync(join(tmpdir(), 'sand-verify-')));
  const secret = randomBytes(16).toString('hex');
  const workspace = join(root, 'workspace');
  const programFolder = join(root, 'program');
  const policyPath = join(workspace, PROTECTED.policy);
  const homeSecret = join(home, `.sand-verify-${secret.slice(0, 8)}`);
  const secretPaths = [join(root, 'secret')];
  const remove = () => {
    rmSync(root, { recursive: true, force: true });
    for (const path of secretPaths) rmSync(path, { force: true });
  };
  const planted = new Map<string, string>();
  const staged = new Map<string, Buffer>();
  const plant = (name: string, text: string, mode = 0o644) => {
    const path = join(workspace, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode });
    planted.set(name, text);
  };
  try {
    mkdirSync(programFolder, { recursive: true });
    plant(PROTECTED.hook, '#!/bin/sh\nexit 0\n', 0o755);
    plant(PROTECTED.config, '[core]\n\trepositoryformatversion = 0\n');
    plant('.git/HEAD', 'ref: refs/heads/main\n');
    plant(PROTECTED.project, 'version: 1\n');
    plant(PROTECTED.policy, 'version: 1\n');
    writeFileSync(join(root, 'secret'), `${secret}\n`, { mode: 0o600, flag: 'wx' });
    if (isWritten(homeSecret, `${secret}\n`)) secretPaths.push(homeSecret);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    workspace,
    programFolder,
    socketPath: join(root, 'host.sock'),
    secretPaths,
    secret,
    policyPath,
    writePolicy: (text) => plant(PROTECTED.policy, text),
    stageProgram(files) {
      for (const { name, content, mode } of files) {
        writeFileSync(join(programFolder, name), content, { mode });
        staged.set(name, Buffer.from(content));
      }
    },
    look: () =>
      new Map([
        ...[...planted].map(([name, text]) => [name, changeOf(join(workspace, name), text)] as const),
        [NEW_HOOK, existsSync(join(workspace, NEW_HOOK)) ? 'it was made' : null] as const,
        [READ_ONLY, folderChange(programFolder, staged)] as const,
      ]),
    remove,
  };
}

/** Some homes cannot be written; then there is none to look for. */
function isWritten(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

function folderChange(folder: string, staged: ReadonlyMap<string, Buffer>): string | null {
  const names = readdirSync(folder);
  const more = names.find((name) => !staged.has(name));
  if (more !== undefined) return `${more} was made in it`;
  const changed = [...staged].find(([name, content]) => {
    const path = join(folder, name);
    return !names.includes(name) || !lstatSync(path).isFile() || !readFileSync(path).equals(content);
  });
  return changed === undefined ? null : `${changed[0]} in it changed`;
}

function changeOf(path: string, text: string): string | null {
  try {
    if (!lstatSync(path).isFile()) return 'it is no file any more';
    return readFileSync(path, 'utf8') === text ? null : 'its content changed';
  } catch {
    return 'it is gone';
  }
}
