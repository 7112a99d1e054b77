/** What only one host has, each with its other way: a checker of one file, path and text in, findings out. */
import { isSource, type SourceFile } from './tree.ts';

/** Of Linux guests, where nothing else is meant. */
const LINUX_FOLDERS = /^controller\/(backends\/linux|links\/namespace|resources)\//;

/** Files that name /proc, and what does the same on a Mac. */
export const PROC_READERS: Readonly<Record<string, string>> = {
  'action/setup.ts': 'the action sets up Linux runners alone',
  'controller/cli/descriptors.ts':
    'Node starts programs there with no descriptor but those that they are given',
  'controller/control/short-place.ts': 'linkedPlace, in the same file',
  'controller/copy/open-folder.ts': 'enteredFolder, in the same file',
  'controller/doctor/dns-port.ts': 'controller/doctor/mac-ports.ts',
  'controller/gateway/open-files.ts': 'reportedOpenFiles, in the same file',
  'controller/process/identity.ts': 'psSight, in the same file',
  'controller/backends/apple-container/checks.ts': 'none: it is the Linux guest that reads it',
  'controller/run/host-places.ts': 'the name of a folder, which is refused',
  'controller/run/reserved-targets.ts': 'the name of a folder of the guest',
  'controller/verify/guest-attacks.ts': 'a path that a Linux guest is to try',
};

/** Images are unpacked for Linux guests; what reads a backend's guest by its own /proc is in that backend's folder. */
export function checkProc({ path, text }: SourceFile): readonly string[] {
  const isHeld = (isSource(path) || /^action\/[^/]*\.ts$/.test(path)) && !LINUX_FOLDERS.test(path);
  if (!isHeld || !/['"`]\/proc\b/.test(withoutComments(text)) || path in PROC_READERS) return [];
  return [`${path} reads /proc, which a Mac has not`];
}

/** Node's own `realpathSync` keeps the capitals that it is given, so that two real paths of one file differ on a Mac. */
export function checkRealPath({ path, text }: SourceFile): readonly string[] {
  if (!isSource(path) || LINUX_FOLDERS.test(path) || path.startsWith('controller/images/')) return [];
  return /\brealpathSync\(|\bfs\.realpath\(/.test(withoutComments(text))
    ? [`${path} calls realpathSync without .native`]
    : [];
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
