"""Servers of a guest, each at an address of its own kind; says `ready` once all of them listen."""

import base64
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time


def listen(address, port, serve):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.listen(512)

    def accept():
        while True:
            connection, peer = server.accept()
            threading.Thread(target=guarded, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def guarded(serve, connection):
    try:
        with connection:
            serve(connection)
    except OSError:
        pass


def echo(connection):
    connection.sendall(b"hello\n")
    while chunk := connection.recv(65536):
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)


def die(connection):
    connection.sendall(b"0123456789")
    connection.recv(1)
    os.kill(os.getpid(), 9)


def exactly(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise OSError("ended")
        data += part
    return data


def websocket(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if ": " in line)
    key = {name.lower(): value for name, value in fields.items()}["sec-websocket-key"]
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )
    while True:
        first, second = exactly(connection, 2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", exactly(connection, 2))
        elif length == 127:
            (length,) = struct.unpack(">Q", exactly(connection, 8))
        mask = exactly(connection, 4)
        payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(exactly(connection, length)))
        size = (
            bytes([length])
            if length < 126
            else b"\x7e" + struct.pack(">H", length)
            if length < 65536
            else b"\x7f" + struct.pack(">Q", length)
        )
        connection.sendall(bytes([first]) + size + payload)
        if first & 0x0F == 8:
            return


for port, address in [(8001, "127.0.0.1"), (8003, "::1")]:
    subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", address], stderr=subprocess.DEVNULL)
listen("0.0.0.0", 8002, websocket)
listen("198.18.0.2", 8004, echo)
listen("::", 8005, echo)
if os.fork() == 0:
    listen("127.0.0.1", 8006, die)
    threading.Event().wait()
for port, address in [(8001, "127.0.0.1"), (8003, "::1"), (8006, "127.0.0.1")]:
    for attempt in range(400):
        try:
            if port != 8006:
                socket.create_connection((address, port)).close()
            elif ":1F46 " not in open("/proc/net/tcp").read():
                raise OSError("not yet")
            break
        except OSError:
            time.sleep(0.05)
print("ready", flush=True)
threading.Event().wait()
