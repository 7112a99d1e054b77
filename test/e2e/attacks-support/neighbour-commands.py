"""Looks into every other process of the guest, and tries to become one with it. Prints what came of each attempt."""
import ctypes, json, os, sys

libc = ctypes.CDLL(None, use_errno=True)
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206

def attempt(what):
    try:
        return ['done', repr(what())]
    except OSError as error:
        return ['refused', error.strerror]

def call(name, *arguments):
    ctypes.set_errno(0)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

class Vector(ctypes.Structure):
    _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]

def read_memory(pid):
    buffer = ctypes.create_string_buffer(16)
    local = Vector(ctypes.cast(buffer, ctypes.c_void_p), 16)
    remote = Vector(0x10000, 16)
    call('process_vm_readv', pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)

def join(pid, kind):
    descriptor = os.open(f'/proc/{pid}/ns/{kind}', os.O_RDONLY)
    call('setns', descriptor, 0)

def steal(pid, number):
    pidfd = libc.syscall(434, pid, 0)
    if libc.syscall(438, pidfd, number, 0) < 0:
        raise OSError(ctypes.get_errno(), 'pidfd_getfd')

found = {}
for pid in sorted(int(name) for name in os.listdir('/proc') if name.isdigit()):
    if pid == os.getpid():
        continue
    program = open(f'/proc/{pid}/cmdline').read().split('\0')[0]
    found[f'{pid} {program}'] = {
        'mem': attempt(lambda: os.close(os.open(f'/proc/{pid}/mem', os.O_RDWR))),
        'environ': attempt(lambda: open(f'/proc/{pid}/environ', 'rb').read(8)),
        'maps': attempt(lambda: open(f'/proc/{pid}/maps').read(8)),
        'fd': attempt(lambda: os.readlink(f'/proc/{pid}/fd/0')),
        'root': attempt(lambda: os.listdir(f'/proc/{pid}/root/')),
        'cwd': attempt(lambda: os.readlink(f'/proc/{pid}/cwd')),
        'exe': attempt(lambda: os.readlink(f'/proc/{pid}/exe')),
        'attach': attempt(lambda: call('ptrace', PTRACE_ATTACH, pid, 0, 0)),
        'seize': attempt(lambda: call('ptrace', PTRACE_SEIZE, pid, 0, 0)),
        'readv': attempt(lambda: read_memory(pid)),
        'pidfd': attempt(lambda: steal(pid, 0)),
        **{f'ns/{kind}': attempt(lambda: join(pid, kind)) for kind in ('user', 'mnt', 'net', 'pid')},
    }
print(json.dumps(found))
