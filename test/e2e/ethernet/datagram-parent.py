# In tart's place: makes the socket pair, starts softnet as tart does, and passes frames between the other end and its own
# standard streams, each behind its length in four bytes. Its first line on standard error is softnet's process.
import os
import socket
import struct
import subprocess
import sys
import threading

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
control, handed = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
argv = [sys.argv[1], '--vm-fd', '0', '--vm-mac-address', '02:00:00:00:00:09', '--allow', '0.0.0.0/0', '--control-fd', '1']
child = subprocess.Popen(argv, stdin=theirs, stdout=handed)
theirs.close()
handed.close()
sys.stderr.write(f'{child.pid}\n')
sys.stderr.flush()


def down():
    while True:
        frame = ours.recv(70000)
        sys.stdout.buffer.write(struct.pack('>I', len(frame)) + frame)
        sys.stdout.buffer.flush()


def ask():
    control.sendall(b'{"jsonrpc":"2.0","id":1,"method":"softnet.policy.get"}\n')
    sys.stderr.write(control.makefile().readline())
    sys.stderr.flush()


for run in (down, ask):
    threading.Thread(target=run, daemon=True).start()


def up():
    while True:
        head = sys.stdin.buffer.read(4)
        if len(head) < 4:
            return
        ours.send(sys.stdin.buffer.read(struct.unpack('>I', head)[0]))


threading.Thread(target=up, daemon=True).start()
os._exit(child.wait() & 255)
