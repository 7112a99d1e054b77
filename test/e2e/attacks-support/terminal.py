"""On its caller's terminal: types into it, and looks which terminal it has."""
import ctypes, os
from attempts import attempt, finish, outcomes, syscall

IOCTL = 16 if os.uname().machine == 'x86_64' else 29
outcomes['is a terminal'] = os.isatty(0)
for name, request in {'TIOCSTI': 0x5412, 'TIOCSTI with high bits': 0x7FFFFFFF00005412, 'TIOCLINUX': 0x541C}.items():
    attempt(f'{name} on standard input', lambda: syscall(IOCTL, 0, request, ctypes.create_string_buffer(b'X')))
    attempt(f'{name} on /dev/tty', lambda: syscall(IOCTL, os.open('/dev/tty', os.O_RDWR), request, ctypes.create_string_buffer(b'X')))
attempt('terminal', lambda: os.close(os.open('/dev/tty', os.O_RDWR)))
finish()
