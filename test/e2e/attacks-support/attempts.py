"""What every program of the attacker shares: tries something, and keeps what came of it by name."""
import ctypes, errno, json, os, sys

libc = ctypes.CDLL(None, use_errno=True)
given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
outcomes = {}


def attempt(name, action):
    """The value of the action, else the name of its error."""
    try:
        outcomes[name] = action()
    except OSError as error:
        outcomes[name] = errno.errorcode.get(error.errno, str(error)) if error.errno else str(error)
    except Exception as error:
        outcomes[name] = repr(error)


def syscall(number, *arguments):
    """'done', else the name of the error."""
    ctypes.set_errno(0)
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    if libc.syscall(ctypes.c_long(number), *words) >= 0:
        return 'done'
    return errno.errorcode.get(ctypes.get_errno(), 'unknown')


def finish():
    print(json.dumps(outcomes))
