/** What a guest that is a network namespace with a TAP device needs of the machine. */
import { execFileSync } from 'node:child_process';

/** Why it cannot be had here; null where it can. */
export function why(programs: readonly string[] = []): string | null {
  for (const program of ['python3', 'busybox', 'curl', 'ip', 'unshare', 'nsenter', ...programs]) {
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `needs ${program}`;
    }
  }
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const open =
    'import fcntl,os,struct; fcntl.ioctl(os.open("/dev/net/tun",os.O_RDWR),0x400454ca,struct.pack("16sH22s",b"tap0",0x1002,b""))';
  try {
    execFileSync('unshare', [...user, '--net', 'python3', '-c', open], { stdio: 'ignore' });
    return null;
  } catch {
    return 'this machine gives no TAP device in a network namespace';
  }
}
