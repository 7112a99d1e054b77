# A guest's side of the transfers that are tried over the cable. Prints what it found as one line of JSON.
import hashlib
import json
import os
import selectors
import socket
import struct
import sys
import time

BLOCK = hashlib.shake_256(b'cable').digest(1048573)
HOST = os.environ.get('TRANSFER_HOST', '203.0.113.7')
SOURCE, SINK, ECHO, RESET, HOLD = map(int, os.environ.get('TRANSFER_PORTS', '9001,9002,9003,9004,9005').split(','))


def told(**values):
    print(json.dumps(values))


def stretch(start, length):
    out = []
    while length > 0:
        at = start % len(BLOCK)
        part = BLOCK[at : at + length]
        out.append(part)
        start += len(part)
        length -= len(part)
    return b''.join(out)


def connect(port, timeout=120, receive_buffer=None):
    one = socket.socket()
    if receive_buffer:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    one.settimeout(timeout)
    one.connect((HOST, port))
    return one


def drain(one, delay=0, size=1 << 18):
    digest = hashlib.sha256()
    count = 0
    while True:
        chunk = one.recv(size)
        if not chunk:
            return count, digest.hexdigest()
        digest.update(chunk)
        count += len(chunk)
        if delay:
            time.sleep(delay)


def down(length, delay='0', size='262144', receive_buffer='0'):
    one = connect(SOURCE, receive_buffer=int(receive_buffer))
    one.sendall(struct.pack('>Q', int(length)))
    count, digest = drain(one, float(delay), int(size))
    told(count=count, digest=digest)


def up(length, delay='0', size='262144'):
    one = connect(SINK)
    sent = 0
    while sent < int(length):
        part = stretch(sent, min(int(size), int(length) - sent))
        one.sendall(part)
        sent += len(part)
        if float(delay):
            time.sleep(float(delay))
    one.shutdown(socket.SHUT_WR)
    told(answer=b''.join(iter(lambda: one.recv(4096), b'')).decode())


def echo(count, length):
    """So many connections at once, each sending and reading so many bytes."""
    count, length = int(count), int(length)
    selector = selectors.DefaultSelector()
    whole = stretch(0, length)
    done = failed = 0
    for _ in range(count):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex((HOST, ECHO))
        selector.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE, {'sent': 0, 'got': []})
    deadline = time.time() + 120
    while done + failed < count and time.time() < deadline:
        for key, events in selector.select(1):
            one, state = key.fileobj, key.data
            try:
                if events & selectors.EVENT_WRITE and state['sent'] < length:
                    state['sent'] += one.send(whole[state['sent'] : state['sent'] + 65536])
                    if state['sent'] == length:
                        one.shutdown(socket.SHUT_WR)
                        selector.modify(one, selectors.EVENT_READ, state)
                if events & selectors.EVENT_READ:
                    chunk = one.recv(65536)
                    state['got'].append(chunk)
                    if chunk == b'':
                        if b''.join(state['got']) == whole:
                            done += 1
                        else:
                            failed += 1
                        selector.unregister(one)
                        one.close()
            except OSError:
                failed += 1
                selector.unregister(one)
                one.close()
    told(done=done, failed=failed)


def setups(seconds):
    """Connections that are opened, asked for one byte and closed, one after the other."""
    ends = time.time() + float(seconds)
    count = 0
    while time.time() < ends:
        one = connect(ECHO)
        one.sendall(b'x')
        one.shutdown(socket.SHUT_WR)
        while one.recv(10):
            pass
        one.close()
        count += 1
    told(count=count)


def reset():
    one = connect(RESET)
    one.sendall(b'x')
    try:
        one.recv(10)
        told(error=None)
    except OSError as error:
        told(error=type(error).__name__)


def abort():
    """The guest resets what it has begun."""
    one = connect(HOLD)
    one.sendall(b'x')
    one.recv(1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    one.close()
    told(done=True)


globals()[sys.argv[1]](*sys.argv[2:])
