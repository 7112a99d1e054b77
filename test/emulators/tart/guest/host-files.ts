/** What of the host's files emulated guests are made of: programs, the accounts of an image, and what an image is to lack. */
import { existsSync, lstatSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../container/failure.ts';
import { compiledProgram } from '../../container/runtime/namespaces/program.ts';
import type { Vm } from '../vms.ts';

const SUDO = fileURLToPath(new URL('sudo.c', import.meta.url));
/** Folders of Linux that macOS has not. */
const NOT_ON_MACS_ROOT = ['run', 'mnt', 'media', 'srv'];
const EMPTY_ROOT = ['bin', 'sbin', 'usr', 'etc', 'lib'];
const PROGRAM_FOLDERS = ['usr/bin', 'usr/sbin', 'usr/local/bin', 'usr/local/sbin', 'bin', 'sbin'];

export interface ImageFiles {
  readonly root: string;
  readonly passwd: string;
  readonly group: string;
  readonly hasZsh: boolean;
  /** Where the programs and folders lie that the image is to lack. */
  readonly lacking: readonly string[];
}

export function imageFiles(vm: Vm): ImageFiles {
  const root = vm.disk.root ?? emptyRoot(vm);
  return {
    root,
    passwd: readIf(join(root, 'etc/passwd')),
    group: readIf(join(root, 'etc/group')),
    hasZsh: existsSync(join(root, 'bin/zsh')),
    lacking: [
      ...(vm.config.os === 'darwin' ? NOT_ON_MACS_ROOT.filter((name) => existsSync(join(root, name))) : []),
      ...vm.disk.without.flatMap((name) => placesOf(root, name)),
    ],
  };
}

export function sudoProgram(): string {
  return compiledProgram(SUDO, 'sudo', ['-static']);
}

/** The system's own: what is first in PATH may be a script that looks for another. */
export function findProgram(name: string): string {
  const found = ['/usr/bin', '/bin', '/usr/local/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Failure(`guests of the emulator need ${name}`);
  return found;
}

export function readIf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Where a program lies; of folders that are links to others nothing is taken away. */
function placesOf(root: string, name: string): readonly string[] {
  return PROGRAM_FOLDERS.filter((folder) => !isLink(join(root, folder)))
    .map((folder) => join(folder, name))
    .filter((path) => isLink(join(root, path)) || existsSync(join(root, path)));
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function emptyRoot(vm: Vm): string {
  const root = join(vm.folder, 'empty');
  for (const name of EMPTY_ROOT) mkdirSync(join(root, name), { recursive: true });
  return root;
}
