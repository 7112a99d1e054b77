# In a guest of the ethernet benchmark: moves bytes, or opens connections, for so long; prints how many of them, and the time.
import json
import socket
import struct
import sys
import time

kind, host, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
SIZE = 1 << 18


def connect():
    one = socket.create_connection((host, port), 20)
    one.sendall(kind[:1].encode())
    return one


count = 0
started = time.perf_counter()
ends = started + seconds
if kind == 'down':
    one = connect()
    while time.perf_counter() < ends:
        chunk = one.recv(SIZE)
        if not chunk:
            raise SystemExit('the other side ended')
        count += len(chunk)
elif kind == 'up':
    one = connect()
    piece = b'x' * SIZE
    while time.perf_counter() < ends:
        count += one.send(piece)
else:
    while time.perf_counter() < ends:
        one = connect()
        one.recv(1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        one.close()
        count += 1
print(json.dumps({'count': count, 'ms': (time.perf_counter() - started) * 1000}))
