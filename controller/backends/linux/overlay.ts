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
root=$1 at=$2 size=$3
shift 3
mount -t tmpfs -o "mode=0700,nosuid,nodev$size" sand "$at"
cd "$at"
mkdir lower upper work root
chmod 0755 upper
mount --rbind "$root" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr sand root
[ -d root/etc ] || mkdir -m 0755 root/etc
cd /
exec "$@"
`;

/** Runs what is appended to it, in the user namespace that it is started in. */
export function planOverlay({ root, scratch, diskMiB }: OverlaySpec): readonly string[] {
  const size = diskMiB === null ? '' : `,size=${diskMiB}m`;
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
    root,
    scratch,
    size,
  ];
}
