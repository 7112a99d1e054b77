/** Which capabilities a container has, by the tool's defaults and its `--cap-add` and `--cap-drop`. */
import { Failure } from './failure.ts';

/** In the kernel's order: the place in the list is the number. */
const NAMES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...[
    'LINUX_IMMUTABLE',
    'NET_BIND_SERVICE',
    'NET_BROADCAST',
    'NET_ADMIN',
    'NET_RAW',
    'IPC_LOCK',
    'IPC_OWNER',
  ],
  ...[
    'SYS_MODULE',
    'SYS_RAWIO',
    'SYS_CHROOT',
    'SYS_PTRACE',
    'SYS_PACCT',
    'SYS_ADMIN',
    'SYS_BOOT',
    'SYS_NICE',
  ],
  ...[
    'SYS_RESOURCE',
    'SYS_TIME',
    'SYS_TTY_CONFIG',
    'MKNOD',
    'LEASE',
    'AUDIT_WRITE',
    'AUDIT_CONTROL',
    'SETFCAP',
  ],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
];

const DEFAULT = [
  ...[
    'CHOWN',
    'DAC_OVERRIDE',
    'FSETID',
    'FOWNER',
    'MKNOD',
    'NET_RAW',
    'SETGID',
    'SETUID',
    'SETFCAP',
    'SETPCAP',
  ],
  ...['NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE'],
];

/** As the configuration keeps them: `CAP_` and upper case, or ALL. */
export function normalizeCapability(name: string): string {
  const upper = name.toUpperCase();
  if (upper === 'ALL') return upper;
  const bare = upper.replace(/^CAP_/, '');
  if (!NAMES.includes(bare)) throw new Failure(`invalid capability: ${name}`);
  return `CAP_${bare}`;
}

/** A drop of all comes first, then what is added, then single drops. */
export function capabilityMask(added: readonly string[], dropped: readonly string[]): bigint {
  const all = NAMES.map((name) => `CAP_${name}`);
  const base = dropped.includes('ALL') ? [] : DEFAULT.map((name) => `CAP_${name}`);
  const kept = new Set([...base, ...(added.includes('ALL') ? all : added)]);
  return all.reduce(
    (mask, name, at) => (kept.has(name) && !dropped.includes(name) ? mask | (1n << BigInt(at)) : mask),
    0n,
  );
}
