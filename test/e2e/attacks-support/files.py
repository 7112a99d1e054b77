"""Looks for what a guest must not see or write: files, sockets, FIFOs, processes, descriptors, variables."""
import ctypes, errno, os, signal, socket, stat
from attempts import attempt, finish, given, outcomes, syscall

X64 = os.uname().machine == 'x86_64'

for path in given['secrets']:
    attempt(f'read {path}', lambda: open(path).read())
for path in given['folders']:
    attempt(f'list {path}', lambda: sorted(os.listdir(path)))


def connect(path):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_UNIX, kind) as client:
            client.settimeout(1)
            try:
                client.connect(path)
                return 'connected'
            except OSError as error:
                failure = error
    raise failure


for path in given['sockets']:
    attempt(f'connect {path}', lambda: connect(path))


def write_fifo(path):
    with open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), 'wb', buffering=0) as pipe:
        return pipe.write(b'canary') if stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode) else 'not a FIFO'


for path in given['fifos']:
    attempt(f'fifo {path}', lambda: write_fifo(path))


def write(path):
    with open(path, 'r+b', buffering=0) as file:
        return file.write(b'\n')


for path in ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches',
             '/proc/sys/net/ipv4/ip_forward', '/proc/sys/fs/binfmt_misc/register', '/proc/irq/default_smp_affinity',
             '/sys/devices/system/cpu/cpu0/online', '/usr/bin/env', '/etc/passwd', '/etc/resolv.conf', '/usr/made', '/etc/made', '/made']:
    attempt(f'write {path}', lambda: open(path, 'x').close() if path.endswith('made') else write(path))

# Whatever the host's `nobody` could not read, with anything in it.
hidden = []
for base in ['/etc', '/opt', '/usr/local', '/var/lib']:
    for folder, _, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
                if stat.S_ISREG(status.st_mode) and not status.st_mode & 0o004 and open(path, 'rb').read(1):
                    hidden.append(path)
            except OSError:
                pass
outcomes['readable though private'] = hidden
private = []
for name in os.listdir('/proc'):
    path = '/proc/' + name
    status = os.lstat(path)
    if not name.isdigit() and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o004:
        try:
            if open(path, 'rb').read(8):
                private.append(path)
        except OSError:
            pass
outcomes['readable though private in /proc'] = private
attempt('keys', lambda: open('/proc/keys').read())
outcomes['devices'] = sorted(os.listdir('/dev'))
outcomes['root'] = sorted(os.listdir('/'))
outcomes['sys'] = [os.listdir('/sys'), os.listdir('/sys/devices'), os.listdir('/sys/devices/system')]
outcomes['environment'] = {name: value for name, value in os.environ.items()}
def variables(pid):
    try:
        return open(f'/proc/{pid}/environ').read()
    except OSError:
        return ''


outcomes['variables of all processes'] = ''.join(variables(pid) for pid in os.listdir('/proc') if pid.isdigit())
outcomes['arguments of all processes'] = [open(f'/proc/{pid}/cmdline').read() for pid in os.listdir('/proc') if pid.isdigit()]
outcomes['processes'] = sorted(int(pid) for pid in os.listdir('/proc') if pid.isdigit())


def descriptors(pid):
    found = {}
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            found[name] = os.readlink(f'/proc/{pid}/fd/{name}')
        except FileNotFoundError:
            pass
    # The listing itself.
    return {name: target for name, target in found.items() if not target.endswith('/fd')}


attempt('own descriptors', lambda: descriptors('self'))


def reached(pid):
    try:
        return descriptors(pid)
    except OSError as error:
        return errno.errorcode[error.errno]


outcomes['descriptors of others'] = [reached(pid) for pid in outcomes['processes'] if pid != os.getpid()]
for pid in given.get('pids', []):
    attempt(f'kill {pid}', lambda: os.kill(pid, 0))
    attempt(f'trace {pid}', lambda: syscall(101 if X64 else 117, 16, pid, 0, 0))
    attempt(f'memory of {pid}', lambda: open(f'/proc/{pid}/mem').read(1))
    attempt(f'pidfd of {pid}', lambda: os.pidfd_open(pid))
attempt('kill everybody', lambda: os.kill(-1, signal.SIGCONT))
attempt('shared memory', lambda: open('/proc/sysvipc/shm').read().count('\n'))
attempt('terminal', lambda: os.close(os.open('/dev/tty', os.O_RDWR)))
finish()
