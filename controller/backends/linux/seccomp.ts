/**
 * The guest's system call filter as a table, and the table as a classic BPF program (seccomp(2), the layout
 * of struct sock_filter in linux/filter.h). It closes what a network namespace does not: other socket
 * families, io_uring (which opens sockets past a filter), the caller's keyrings, terminal injection, files in
 * a workspace that would run as the caller for whoever finds them, and kernel surfaces that no build needs. Pure.
 */

export type Architecture = 'x64' | 'arm64';

interface ArchitectureFacts {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number;
  /** System calls with this bit belong to the x32 ABI, which would pass by every number in the table. */
  readonly foreignBit: number | null;
  readonly numbers: Readonly<Record<SyscallName, number | null>>;
}

/** Denied outright, with the errno that makes programs fall back (ENOSYS) or tell the reason (EPERM). */
const DENIED = {
  io_uring_setup: 'ENOSYS',
  io_uring_enter: 'ENOSYS',
  io_uring_register: 'ENOSYS',
  add_key: 'EPERM',
  request_key: 'EPERM',
  keyctl: 'EPERM',
  bpf: 'EPERM',
  perf_event_open: 'EPERM',
  userfaultfd: 'EPERM',
  open_by_handle_at: 'EPERM',
  kexec_load: 'EPERM',
  kexec_file_load: 'EPERM',
  init_module: 'EPERM',
  finit_module: 'EPERM',
  delete_module: 'EPERM',
  mount: 'EPERM',
  umount2: 'EPERM',
  pivot_root: 'EPERM',
  setns: 'EPERM',
  open_tree: 'ENOSYS',
  move_mount: 'ENOSYS',
  fsopen: 'ENOSYS',
  fsconfig: 'ENOSYS',
  fsmount: 'ENOSYS',
  fspick: 'ENOSYS',
  mount_setattr: 'ENOSYS',
  swapon: 'EPERM',
  swapoff: 'EPERM',
  reboot: 'EPERM',
  acct: 'EPERM',
  quotactl: 'EPERM',
  syslog: 'EPERM',
  vhangup: 'EPERM',
  iopl: 'EPERM',
  ioperm: 'EPERM',
  // Its mode lies in memory, where a filter cannot look; every caller falls back to openat.
  openat2: 'ENOSYS',
} as const;

/** Calls that set a file's mode, by the argument that holds it. */
const MODE_CALLS = {
  chmod: 1,
  fchmod: 1,
  fchmodat: 2,
  fchmodat2: 2,
  creat: 1,
  mknod: 1,
  mknodat: 2,
} as const;
/** Calls that set it only where their flags say that a file is made; else the argument is whatever lay there. */
const OPEN_CALLS = { open: { flags: 1, mode: 2 }, openat: { flags: 2, mode: 3 } } as const;

type SyscallName =
  | keyof typeof DENIED
  | keyof typeof MODE_CALLS
  | keyof typeof OPEN_CALLS
  | 'socket'
  | 'socketpair'
  | 'ioctl';

/** System call numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h. */
const FACTS: Readonly<Record<Architecture, ArchitectureFacts>> = {
  x64: {
    audit: 0xc000003e,
    foreignBit: 0x40000000,
    numbers: {
      socket: 41,
      socketpair: 53,
      ioctl: 16,
      io_uring_setup: 425,
      io_uring_enter: 426,
      io_uring_register: 427,
      add_key: 248,
      request_key: 249,
      keyctl: 250,
      bpf: 321,
      perf_event_open: 298,
      userfaultfd: 323,
      open_by_handle_at: 304,
      kexec_load: 246,
      kexec_file_load: 320,
      init_module: 175,
      finit_module: 313,
      delete_module: 176,
      mount: 165,
      umount2: 166,
      pivot_root: 155,
      setns: 308,
      open_tree: 428,
      move_mount: 429,
      fsopen: 430,
      fsconfig: 431,
      fsmount: 432,
      fspick: 433,
      mount_setattr: 442,
      swapon: 167,
      swapoff: 168,
      reboot: 169,
      acct: 163,
      quotactl: 179,
      syslog: 103,
      vhangup: 153,
      iopl: 172,
      ioperm: 173,
      openat2: 437,
      chmod: 90,
      fchmod: 91,
      fchmodat: 268,
      fchmodat2: 452,
      creat: 85,
      mknod: 133,
      mknodat: 259,
      open: 2,
      openat: 257,
    },
  },
  arm64: {
    audit: 0xc00000b7,
    foreignBit: null,
    numbers: {
      socket: 198,
      socketpair: 199,
      ioctl: 29,
      io_uring_setup: 425,
      io_uring_enter: 426,
      io_uring_register: 427,
      add_key: 217,
      request_key: 218,
      keyctl: 219,
      bpf: 280,
      perf_event_open: 241,
      userfaultfd: 282,
      open_by_handle_at: 265,
      kexec_load: 104,
      kexec_file_load: 294,
      init_module: 105,
      finit_module: 273,
      delete_module: 106,
      mount: 40,
      umount2: 39,
      pivot_root: 41,
      setns: 268,
      open_tree: 428,
      move_mount: 429,
      fsopen: 430,
      fsconfig: 431,
      fsmount: 432,
      fspick: 433,
      mount_setattr: 442,
      swapon: 224,
      swapoff: 225,
      reboot: 142,
      acct: 89,
      quotactl: 60,
      syslog: 116,
      vhangup: 58,
      iopl: null,
      ioperm: null,
      openat2: 437,
      chmod: null,
      fchmod: 52,
      fchmodat: 53,
      fchmodat2: 452,
      creat: null,
      mknod: null,
      mknodat: 33,
      open: null,
      openat: 56,
    },
  },
};

const ERRNO = { EPERM: 1, ENOSYS: 38, EAFNOSUPPORT: 97, EPROTONOSUPPORT: 93 } as const;
/** linux/socket.h. Netlink without privileges answers questions about the guest's own namespace only. */
const FAMILY = { UNIX: 1, INET: 2, INET6: 10, NETLINK: 16 } as const;
/** The low bits of socket(2)'s type; the rest are flags. */
const SOCKET_TYPE_MASK = 0xf;
const SOCKET_TYPE = { STREAM: 1, DGRAM: 2 } as const;
/** asm-generic/ioctls.h. The kernel reads 32 bits of the request, so the filter compares the same 32. */
const TERMINAL_INJECTION = { TIOCSTI: 0x5412, TIOCLINUX: 0x541c } as const;
/** S_ISUID and S_ISGID of linux/stat.h. */
const RUNS_AS_OWNER = 0o6000;
/** O_CREAT and __O_TMPFILE of asm-generic/fcntl.h. */
const MAKES_FILE = 0o100 | 0o20000000;

/** struct seccomp_data: nr, arch, instruction pointer (64 bits), then six 64-bit arguments, low word first. */
const OFFSET = { nr: 0, arch: 4, arg0: 16, arg1: 24 } as const;
const argument = (index: number): number => OFFSET.arg0 + index * 8;

const BPF = { LOAD_WORD: 0x20, AND: 0x54, JUMP_EQ: 0x15, JUMP_SET: 0x45, RETURN: 0x06 } as const;
const ALLOW = 0x7fff0000;
const errno = (name: keyof typeof ERRNO) => 0x00050000 | ERRNO[name];

interface Instruction {
  readonly code: number;
  readonly jumpTrue: number;
  readonly jumpFalse: number;
  readonly operand: number;
}

const load = (offset: number): Instruction => ({
  code: BPF.LOAD_WORD,
  jumpTrue: 0,
  jumpFalse: 0,
  operand: offset,
});
const mask = (operand: number): Instruction => ({ code: BPF.AND, jumpTrue: 0, jumpFalse: 0, operand });
const finish = (operand: number): Instruction => ({ code: BPF.RETURN, jumpTrue: 0, jumpFalse: 0, operand });
/** Continues with the next instruction when equal, else skips `skip` instructions. */
const unlessEqualSkip = (operand: number, skip: number): Instruction => ({
  code: BPF.JUMP_EQ,
  jumpTrue: 0,
  jumpFalse: skip,
  operand,
});
const ifEqualSkip = (operand: number, skip: number): Instruction => ({
  code: BPF.JUMP_EQ,
  jumpTrue: skip,
  jumpFalse: 0,
  operand,
});
/** Continues with the next instruction when any of the bits is set, else skips `skip` instructions. */
const unlessAnySetSkip = (operand: number, skip: number): Instruction => ({
  code: BPF.JUMP_SET,
  jumpTrue: 0,
  jumpFalse: skip,
  operand,
});

/** The filter for `bwrap --seccomp FD`, 8 bytes an instruction, little-endian; both architectures are. */
export function seccompFilter(architecture: Architecture): Buffer {
  const facts = FACTS[architecture];
  const program: readonly Instruction[] = [
    load(OFFSET.arch),
    ifEqualSkip(facts.audit, 1),
    finish(errno('ENOSYS')),
    load(OFFSET.nr),
    ...refuseForeign(facts.foreignBit),
    ...Object.entries(DENIED).flatMap(([name, error]) =>
      refuseCall(facts.numbers[name as keyof typeof DENIED], error),
    ),
    ...onCall(facts.numbers.socket, socketRules()),
    ...onCall(facts.numbers.socketpair, socketpairRules()),
    ...onCall(facts.numbers.ioctl, ioctlRules()),
    ...Object.entries(MODE_CALLS).flatMap(([name, mode]) =>
      onCall(facts.numbers[name as keyof typeof MODE_CALLS], modeRules(mode)),
    ),
    ...Object.entries(OPEN_CALLS).flatMap(([name, { flags, mode }]) =>
      onCall(facts.numbers[name as keyof typeof OPEN_CALLS], openRules(flags, mode)),
    ),
    finish(ALLOW),
  ];
  return encode(program);
}

function refuseForeign(bit: number | null): readonly Instruction[] {
  return bit === null ? [] : [unlessAnySetSkip(bit, 1), finish(errno('ENOSYS'))];
}

function refuseCall(number: number | null, error: keyof typeof ERRNO): readonly Instruction[] {
  return number === null ? [] : [unlessEqualSkip(number, 1), finish(errno(error))];
}

function onCall(number: number | null, body: readonly Instruction[]): readonly Instruction[] {
  return number === null ? [] : [unlessEqualSkip(number, body.length), ...body];
}

/** Local, IPv4, IPv6 and netlink sockets; of the internet ones streams and datagrams, never raw. */
function socketRules(): readonly Instruction[] {
  return [
    load(OFFSET.arg0),
    ifEqualSkip(FAMILY.UNIX, 9),
    ifEqualSkip(FAMILY.NETLINK, 8),
    ifEqualSkip(FAMILY.INET, 2),
    ifEqualSkip(FAMILY.INET6, 1),
    finish(errno('EAFNOSUPPORT')),
    load(OFFSET.arg1),
    mask(SOCKET_TYPE_MASK),
    ifEqualSkip(SOCKET_TYPE.STREAM, 2),
    ifEqualSkip(SOCKET_TYPE.DGRAM, 1),
    finish(errno('EPROTONOSUPPORT')),
    finish(ALLOW),
  ];
}

function socketpairRules(): readonly Instruction[] {
  return [load(OFFSET.arg0), ifEqualSkip(FAMILY.UNIX, 1), finish(errno('EAFNOSUPPORT')), finish(ALLOW)];
}

function ioctlRules(): readonly Instruction[] {
  return [
    load(OFFSET.arg1),
    ifEqualSkip(TERMINAL_INJECTION.TIOCSTI, 1),
    unlessEqualSkip(TERMINAL_INJECTION.TIOCLINUX, 1),
    finish(errno('EPERM')),
    finish(ALLOW),
  ];
}

/**
 * No set-user-id or set-group-id file: a guest of a root caller writes its workspace as the host's uid 0, and
 * no-new-privileges binds the guest alone, not the host's other users.
 */
function modeRules(mode: number): readonly Instruction[] {
  return [load(argument(mode)), unlessAnySetSkip(RUNS_AS_OWNER, 1), finish(errno('EPERM')), finish(ALLOW)];
}

function openRules(flags: number, mode: number): readonly Instruction[] {
  const rules = modeRules(mode);
  return [load(argument(flags)), unlessAnySetSkip(MAKES_FILE, rules.length), ...rules, finish(ALLOW)];
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(({ code, jumpTrue, jumpFalse, operand }, at) => {
    bytes.writeUInt16LE(code, at * 8);
    bytes.writeUInt8(jumpTrue, at * 8 + 2);
    bytes.writeUInt8(jumpFalse, at * 8 + 3);
    bytes.writeUInt32LE(operand >>> 0, at * 8 + 4);
  });
  return bytes;
}
