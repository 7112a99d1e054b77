"""Asks the kernel for what a guest must not have: privileges, other socket families, other kernel surfaces."""
import ctypes, mmap, os, pty, socket, stat, subprocess
from attempts import attempt, finish, libc, outcomes, syscall

X64 = os.uname().machine == 'x86_64'
CALLS = {
    # name: (x86-64, arm64, arguments)
    'io_uring_setup': (425, 425, (8, ctypes.create_string_buffer(120))),
    'io_uring_enter': (426, 426, (-1, 0, 0, 0, 0, 0)),
    'io_uring_register': (427, 427, (-1, 0, 0, 0)),
    'bpf': (321, 280, (0, ctypes.create_string_buffer(72), 72)),
    'perf_event_open': (298, 241, (ctypes.create_string_buffer(128), 0, -1, -1, 0)),
    'userfaultfd': (323, 282, (1,)),
    'add_key': (248, 217, (b'user', b'sand', b'x', 1, -3)),
    'request_key': (249, 218, (b'user', b'sand-e2e-secret', 0, -3)),
    'keyctl': (250, 219, (0, -3, 0)),
    'open_by_handle_at': (304, 265, (-100, ctypes.create_string_buffer(64), 0)),
    'mount': (165, 40, (b'none', b'/tmp', b'tmpfs', 0, 0)),
    'umount2': (166, 39, (b'/proc/sys', 2)),
    'pivot_root': (155, 41, (b'/', b'/')),
    'setns': (308, 268, (0, 0)),
    'open_tree': (428, 428, (-100, b'/', 1)),
    'move_mount': (429, 429, (0, b'', 0, b'', 0)),
    'fsopen': (430, 430, (b'tmpfs', 0)),
    'mount_setattr': (442, 442, (-100, b'/', 0, ctypes.create_string_buffer(32), 32)),
    'syslog': (103, 116, (3, ctypes.create_string_buffer(16), 16)),
    'kexec_load': (246, 104, (0, 0, 0, 0)),
    'init_module': (175, 105, (0, 0, b'')),
}
for name, (x64, arm64, arguments) in CALLS.items():
    attempt(name, lambda: syscall(x64 if X64 else arm64, *arguments))

SOCKET = 41 if X64 else 198
SOCKETS = {
    'vsock': (40, 1, 0),
    'vsock with high bits': (0x100000028, 1, 0),
    'packet': (17, 3, 0x300),
    'packet datagram': (17, 2, 0x300),
    'raw IPv4': (2, 3, 255),
    'raw IPv6': (10, 3, 255),
    'raw IPv4, close-on-exec': (2, 3 | 0o2000000, 1),
    'AF_ALG': (38, 5, 0),
    'AF_KEY': (15, 3, 2),
    'AF_XDP': (44, 3, 0),
    'AF_BLUETOOTH': (31, 3, 1),
    'AF_CAN': (29, 3, 1),
    'AF_TIPC': (30, 1, 0),
    'AF_RDS': (21, 5, 0),
    'AF_QIPCRTR': (42, 2, 0),
    'AF_SMC': (43, 1, 0),
    'AF_KCM': (41, 2, 0),
    'sctp': (2, 5, 132),
}
for name, arguments in SOCKETS.items():
    attempt(f'socket: {name}', lambda: syscall(SOCKET, *arguments))
attempt('socketpair: packet', lambda: syscall(53 if X64 else 199, 17, 3, 0, ctypes.create_string_buffer(8)))


def foreign_call(number, *arguments):
    """System call by `int $0x80`, the i386 table, from this 64-bit process: gives the negative errno."""
    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    # push rbx; mov eax,edi; mov ebx,esi; mov ecx,edx; xor edx,edx; int 0x80; pop rbx; ret
    code.write(bytes.fromhex('5389f889f389d131d2cd805bc3'))
    address = ctypes.addressof(ctypes.c_char.from_buffer(code))
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int)(address)
    return call(number, *arguments)


if X64:
    # In a child: a kernel without the i386 entry kills it.
    def in_child(action):
        reading, writing = os.pipe()
        if os.fork() == 0:
            os.write(writing, str(action()).encode())
            os._exit(0)
        os.close(writing)
        return os.read(reading, 100).decode()

    attempt('i386 getpid', lambda: in_child(lambda: foreign_call(20, 0, 0)))
    attempt('i386 vsock', lambda: in_child(lambda: foreign_call(359, 40, 1)))
    attempt('x32 getpid', lambda: syscall(0x40000000 | 39))
    attempt('x32 vsock', lambda: syscall(0x40000000 | 41, 40, 1, 0))

# Terminal injection, on a terminal of the guest's own making.
_, terminal = pty.openpty()
IOCTL = 16 if X64 else 29
for name, request in {'TIOCSTI': 0x5412, 'TIOCSTI with high bits': 0x100005412, 'TIOCLINUX': 0x541C}.items():
    attempt(name, lambda: syscall(IOCTL, terminal, request, ctypes.create_string_buffer(b'x')))

# To become root.
attempt('user namespace', lambda: syscall(272 if X64 else 97, 0x10000000))
attempt('mount namespace', lambda: syscall(272 if X64 else 97, 0x20000))
attempt('network namespace', lambda: syscall(272 if X64 else 97, 0x40000000))
attempt('setuid', lambda: os.setuid(0))
attempt('setresuid of the host', lambda: os.setresuid(65534, 65534, 65534))
attempt('chroot', lambda: os.chroot('/tmp'))
status = open('/proc/self/status').read()
outcomes['status'] = dict(line.split(':\t', 1) for line in status.splitlines() if ':\t' in line)
outcomes['init status'] = dict(line.split(':\t', 1) for line in open('/proc/1/status').read().splitlines() if ':\t' in line)


def said(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


for name, command in {
    'su': ('su', 'root', '-c', 'id -u'),
    'unshare': ('unshare', '--user', '--map-root-user', 'id', '-u'),
    'bwrap': ('bwrap', '--unshare-user', '--uid', '0', '--ro-bind', '/', '/', 'id', '-u'),
    'newuidmap': ('newuidmap', '1', '0', '0', '1'),
    'setpriv': ('setpriv', '--reuid', '0', 'id', '-u'),
}.items():
    attempt(f'said: {name}', lambda: said(*command))

# A file that would run as its owner, on the host, for whoever finds it there.
open('plain', 'w').close()
plain = os.open('plain', os.O_RDWR)
SETUID = 0o4755
if X64:
    attempt('setuid: chmod', lambda: syscall(90, b'plain', SETUID))
    attempt('setuid: creat', lambda: syscall(85, b'made-creat', SETUID))
    attempt('setuid: open', lambda: syscall(2, b'made-open', 0o102, SETUID))
    attempt('setuid: mknod', lambda: syscall(133, b'made-mknod', stat.S_IFREG | SETUID, 0))
attempt('setuid: fchmod', lambda: syscall(91 if X64 else 52, plain, SETUID))
attempt('setuid: fchmodat', lambda: syscall(268 if X64 else 53, -100, b'plain', SETUID))
attempt('setuid: fchmodat2', lambda: syscall(452, -100, b'plain', SETUID, 0))
attempt('setuid: openat', lambda: syscall(257 if X64 else 56, -100, b'made-openat', 0o102, SETUID))
attempt('setuid: temporary file', lambda: syscall(257 if X64 else 56, -100, b'.', 0o20200002, SETUID))
attempt('setuid: openat2', lambda: syscall(437, -100, b'made-openat2', (ctypes.c_ulonglong * 3)(0o102, SETUID, 0), 24))
attempt('setuid: mknodat', lambda: syscall(259 if X64 else 33, -100, b'made-mknodat', stat.S_IFREG | SETUID, 0))
attempt('setgid: fchmodat', lambda: syscall(268 if X64 else 53, -100, b'plain', 0o2755))
attempt('setgid: fchmod with high bits', lambda: syscall(91 if X64 else 52, plain, 0x100000000 | 0o2755))
attempt('plain chmod', lambda: os.chmod('plain', 0o1755))
attempt('file capability', lambda: os.setxattr('plain', 'security.capability', bytes.fromhex('0000000200040000000000000000000000000000')))
attempt('block device', lambda: os.mknod('disk', 0o666 | stat.S_IFBLK, os.makedev(254, 0)))
attempt('character device', lambda: os.mknod('memory', 0o666 | stat.S_IFCHR, os.makedev(1, 1)))
finish()
