/**
 * The root of a guest of an image: its files, shared and never written, under an empty layer that is this
 * guest's alone, as an overlay in a mount namespace of its own. It goes when the guest's last process does.
 * Pure; `argv.ts` puts these words before bubblewrap's.
 */

export interface OverlaySpec {
  readonly root: string;
  readonly scratch: string;
  /** What the guest may write below its root; null: half of the memory, as tmpfs has it. */
  readonly diskMiB: number | null;
  /** Of `planImageMounts`. */
  readonly folders: readonly string[];
}

/** Where bubblewrap finds the root that was put together. */
export function overlayRoot(scratch: string): string {
  return `${scratch}/root`;
}

/**
 * Fail closed: what fails ends it, and bubblewrap does not start. The root is bound below the scratch folder
 * first, so that no path of the host is read as mount options or shows in the guest's list of mounts.
 */
const SCRIPT = `
root=$1 at=$2 size=$3 folders=$4
shift 4
mount -t tmpfs -o "mode=0700,nosuid,nodev$size" sand "$at"
cd "$at"
mkdir lower upper work root
chmod 0755 upper
while [ "$folders" -gt 0 ]; do
  mkdir -p "upper/$1"
  shift
  folders=$((folders - 1))
done
mount --rbind "$root" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr sand root
mkdir -p root/etc
cd /
exec "$@"
`;

/** Runs what is appended to it, in the user namespace that it is started in. */
export function planOverlay({ root, scratch, diskMiB, folders }: OverlaySpec): readonly string[] {
  const size = diskMiB === null ? '' : `,size=${diskMiB}m`;
  const words = [root, scratch, size, String(folders.length), ...folders];
  return [
    'unshare',
    '--mount',
    '--propagation',
    'private',
    '--',
    '/bin/sh',
    '-euc',
    SCRIPT,
    'sand',
    ...words,
  ];
}
