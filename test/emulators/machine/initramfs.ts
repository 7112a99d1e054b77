/** Makes what a guest's machine boots, once for each kernel and each text of what is in it: busybox loads modules and mounts the shares, agent.c goes on. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from '../container/host-tool.ts';
import { CACHE, type Kernel } from './kernel.ts';
import { BUSYBOX } from './parts.ts';
import { PLACES } from './plan.ts';

const AGENT = fileURLToPath(new URL('agent.c', import.meta.url));
const ENTRY = fileURLToPath(new URL('../container/runtime/namespaces/entry.c', import.meta.url));
const FOLDERS = ['bin', 'dev', 'modules', 'proc', 'root', 'sys'];

/** A root that lies over the first one, since that can be left by no pivot. */
const FIRST_PROCESS = `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
fail() { echo "machine: no $*" >/dev/console; poweroff -f; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in $(cat /modules/order); do insmod "/modules/$module.ko" || fail "module $module"; done
[ -z "$CARD" ] || ip link set eth0 name "$CARD" || fail card
mount -t tmpfs -o mode=755 root /root || fail root
cd /root
mkdir -p dev proc sys .${PLACES.system} .${PLACES.files} .${PLACES.sockets}
cp /agent /entry .
mount -t devtmpfs dev dev && mount -t proc proc proc && mount -t sysfs sysfs sys || fail systems
mount -t virtiofs -o ro system .${PLACES.system} || fail system
mount -t virtiofs files .${PLACES.files} || fail files
umount /sys /proc
exec switch_root /root /agent $(echo "$SOCKETS" | tr , ' ')
`;

export function initramfsFor(kernel: Kernel): string {
  const hash = createHash('sha256').update(FIRST_PROCESS).update(kernel.release);
  for (const file of [AGENT, ENTRY, BUSYBOX]) hash.update(readFileSync(file));
  const made = join(CACHE, `initramfs-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(made)) return made;
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, 'initramfs.'));
  try {
    const tree = join(work, 'tree');
    for (const folder of FOLDERS) mkdirSync(join(tree, folder), { recursive: true });
    cpSync(BUSYBOX, join(tree, 'bin/busybox'), { dereference: true });
    writeFileSync(join(tree, 'init'), FIRST_PROCESS);
    chmodSync(join(tree, 'init'), 0o755);
    for (const [source, name] of [
      [AGENT, 'agent'],
      [ENTRY, 'entry'],
    ] as const)
      runTool('cc', '-O1', '-static', '-o', join(tree, name), source);
    cpSync(kernel.modules, join(tree, 'modules'), { recursive: true });
    const pack = `cd "$1" && find . | ${BUSYBOX} cpio -o -H newc >"$2"`;
    execFileSync('sh', ['-c', pack, 'sh', tree, join(work, 'packed')], { stdio: 'pipe' });
    renameSync(join(work, 'packed'), made);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return made;
}
