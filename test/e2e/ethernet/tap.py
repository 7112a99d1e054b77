# In a network namespace of its own: opens a TAP device and passes its frames to the Unix socket that is named, each behind
# its length in four bytes, as QEMU's `-netdev stream` does. Or, with a program behind `--`, becomes that program, with the
# device as its standard input.
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x0002 | 0x1000
MTU = sys.argv[1]

tap = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(tap, TUNSETIFF, struct.pack('16sH22s', b'tap0', IFF_TAP_NO_PI, b''))
for words in (['link', 'set', 'lo', 'up'], ['link', 'set', 'tap0', 'mtu', MTU, 'up']):
    subprocess.run(['ip', *words], check=True)
if sys.argv[2] == '--':
    os.dup2(tap, 0)
    os.execv(sys.argv[3], sys.argv[3:])
os.set_blocking(tap, False)
cable = socket.socket(socket.AF_UNIX)
cable.connect(sys.argv[2])
begun = b''
while True:
    ready, _, _ = select.select([tap, cable], [], [])
    if tap in ready:
        frames = []
        for _ in range(64):
            try:
                frame = os.read(tap, 70000)
            except BlockingIOError:
                break
            frames += [struct.pack('>I', len(frame)), frame]
        cable.sendall(b''.join(frames))
    if cable in ready:
        chunk = cable.recv(1 << 18)
        if not chunk:
            break
        begun += chunk
        at = 0
        while len(begun) - at >= 4:
            (length,) = struct.unpack_from('>I', begun, at)
            if len(begun) - at - 4 < length:
                break
            try:
                os.write(tap, begun[at + 4 : at + 4 + length])
            except (BlockingIOError, OSError):
                pass
            at += 4 + length
        begun = begun[at:]
