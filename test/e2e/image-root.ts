/**
 * A root file system for `--image`, put together from this machine's own programs: each at its place, with the
 * libraries that `ldd` names. Which programs it holds is what the conformance cases call.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseLdd } from '../../controller/backends/linux/launcher.ts';

const PROGRAMS = ['sh', 'timeout', 'curl', 'getent', 'python3'] as const;
/** What a guest of a folder has in its PATH, less what is for administrators. */
const PATH = '/usr/local/bin:/usr/bin:/bin';
/** Of Python's library, what no program imports, or what is not of it. */
const LEFT_OUT = /^(test|tests|config-.*|dist-packages|site-packages|ensurepip|lib2to3|idlelib|pydoc_data)$/;
/** Loaded by the C library while it runs, so that `ldd` does not name them; newer ones have both built in. */
const RESOLVERS = ['libnss_files.so.2', 'libnss_dns.so.2'];

/** Writes below `root`, which is made; everybody can read it. */
export function buildImageRoot(root: string): void {
  mkdirSync(root, { recursive: true });
  chmodSync(root, 0o755);
  const programs = PROGRAMS.map((name) => output('sh', ['-c', `command -v ${name}`]));
  for (const path of [...programs, ...librariesOf(programs)]) copy(root, path);
  const folders = output('python3', ['-I', '-S', '-c', 'import sys; print("\\n".join(sys.path))']);
  for (const folder of folders.split('\n')) copyLibrary(root, folder);
  mkdirSync(join(root, 'etc'), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\n');
  writeFileSync(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

function librariesOf(programs: readonly string[]): readonly string[] {
  const found = new Set<string>();
  for (const program of programs) {
    const linked = parseLdd(output('ldd', [program]));
    if (linked === null) throw new Error(`what ${program} is linked with does not read`);
    for (const path of linked.libraries.values()) found.add(path);
    if (linked.loader !== null) found.add(linked.loader);
  }
  const beside = [...found].filter((path) => basename(path).startsWith('libc.so')).map(dirname);
  const resolvers = beside.flatMap((folder) => RESOLVERS.map((name) => join(folder, name)));
  // Says where libraries are that lie in no place which the loader has built in.
  return [...found, ...[...resolvers, '/etc/ld.so.cache'].filter((path) => existsSync(path))];
}

function copy(root: string, path: string): void {
  mkdirSync(join(root, dirname(path)), { recursive: true });
  copyFileSync(path, join(root, path));
}

/** Extension modules come as they are: those that the cases load want the C library alone. */
function copyLibrary(root: string, folder: string): void {
  if (!existsSync(folder)) return;
  cpSync(folder, join(root, folder), {
    recursive: true,
    dereference: true,
    filter: (source) => !LEFT_OUT.test(basename(source)) && existsSync(source),
  });
}

function output(file: string, args: readonly string[]): string {
  return execFileSync(file, args, { encoding: 'utf8', env: { PATH } }).trim();
}
