/**
 * Debian's cloud kernel for guests' machines, in the checkout's cache: fetched by apt as a package that is unpacked, not installed,
 * of which the image and the modules are kept that a guest needs.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const CACHE = fileURLToPath(
  new URL('../../../node_modules/.cache/container-emulator', import.meta.url),
);
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const UNPACK = `cd "$1" && apt-get --quiet=2 download "$2" && dpkg -x ./*.deb tree && rm ./*.deb &&
  find tree -name '*.ko.xz' -exec xz --decompress '{}' +`;

/** The last line is what the relay's rules want; one that a kernel has built in is no file of it. */
const WANTED = [
  ...['virtio_pci', 'virtio_console', 'virtio_rng', 'virtiofs', 'overlay', 'crc32c_generic'],
  // A card, and what a DHCP client asks by while it has no address.
  ...['virtio_net', 'af_packet'],
  ...['nf_tables', 'nft_chain_nat', 'nft_redir', 'nft_ct'],
];
/** One that was kept with other modules is not taken for this one. */
const PREFIX = `kernel-${createHash('sha256').update(WANTED.join()).digest('hex').slice(0, 8)}-`;

export interface Kernel {
  readonly release: string;
  readonly image: string;
  /** With a file `order`, of the names in the order in which they are loaded. */
  readonly modules: string;
}

/** Null before it was fetched. */
export function findKernel(): Kernel | null {
  if (!existsSync(CACHE)) return null;
  const [name] = readdirSync(CACHE)
    .filter((entry) => entry.startsWith(PREFIX))
    .toSorted()
    .reverse();
  if (name === undefined) return null;
  const folder = join(CACHE, name);
  return {
    release: name.slice(PREFIX.length),
    image: join(folder, 'vmlinuz'),
    modules: join(folder, 'modules'),
  };
}

/** 27 MB to download, of which 9 stay. */
export function fetchKernel(): Kernel {
  const found = findKernel();
  if (found !== null) return found;
  const described = run('apt-cache', 'depends', 'linux-image-cloud-amd64');
  const name = /^\s*Depends: (linux-image-\d\S*)$/m.exec(described)?.[1];
  if (name === undefined) throw new Error('apt knows no package linux-image-cloud-amd64');
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'unpacking.'));
  try {
    run('sh', '-c', UNPACK, 'sh', work, name);
    return keep(name.slice('linux-image-'.length), join(work, 'tree'), join(work, 'kept'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(program: string, ...words: readonly string[]): string {
  return execFileSync(program, words, {
    env: { PATH: SYSTEM_PATH },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function keep(release: string, tree: string, made: string): Kernel {
  const root = ['lib', 'usr/lib']
    .map((folder) => join(tree, folder, 'modules', release, 'kernel'))
    .find(existsSync);
  if (root === undefined) throw new Error(`the package of ${release} has no modules`);
  const files = new Map(
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ko'))
      .map((file) => [nameOf(file), join(root, file)]),
  );
  const order: string[] = [];
  const visit = (name: string) => {
    const file = files.get(name);
    if (file === undefined || order.includes(name)) return;
    for (const other of dependenciesOf(readFileSync(file))) visit(other);
    order.push(name);
  };
  for (const name of WANTED) visit(name);
  mkdirSync(join(made, 'modules'), { recursive: true });
  for (const name of order) copyFileSync(files.get(name) ?? '', join(made, 'modules', `${name}.ko`));
  writeFileSync(join(made, 'modules', 'order'), `${order.join('\n')}\n`);
  copyFileSync(join(tree, 'boot', `vmlinuz-${release}`), join(made, 'vmlinuz'));
  const kept = join(CACHE, `${PREFIX}${release}`);
  renameSync(made, kept);
  return { release, image: join(kept, 'vmlinuz'), modules: join(kept, 'modules') };
}

/** Modules name themselves with `_`, files use either. */
function nameOf(file: string): string {
  return (file.split('/').at(-1) ?? '').replace(/\.ko$/, '').replaceAll('-', '_');
}

/** `depends=a,b` stands in the `.modinfo` section, and ends in NUL. */
function dependenciesOf(module: Buffer): readonly string[] {
  const at = module.indexOf('\0depends=');
  if (at < 0) return [];
  const from = at + '\0depends='.length;
  const list = module.toString('latin1', from, module.indexOf(0, from));
  return list === '' ? [] : list.split(',').map((name) => name.replaceAll('-', '_'));
}
