"""Opens ten thousand connections to the proxy from inside a guest, tells how each fared, lets go, and asks once more."""

import os
import select
import socket
import sys
import time
import urllib.parse
import urllib.request

PROCESSES = 10
EACH = 1000
SETTLE_SECONDS = 120

proxy = urllib.parse.urlparse(os.environ["http_proxy"])
url = sys.argv[1]
host = urllib.parse.urlparse(url).netloc
SAID = [b"", b"GET " + url.encode() + b" HTTP/1.1\r\nHost: half", f"CONNECT {sys.argv[2]} HTTP/1.1\r\nHost: {sys.argv[2]}\r\n\r\n".encode()]


def crowd(report, release):
    """One process of the crowd: a process has too few descriptors for all."""
    held = {}
    ended = told = 0
    for at in range(EACH):
        try:
            client = socket.create_connection((proxy.hostname, proxy.port), timeout=60)
        except OSError:
            # Cut off before the call returned.
            ended += 1
            continue
        held[client.fileno()] = client
        try:
            client.sendall(SAID[at % len(SAID)])
        except OSError:
            # What it was told, if anything, is read below.
            pass
        client.setblocking(False)
    poll = select.poll()
    for number in held:
        poll.register(number, select.POLLIN)
    alive = set(held)
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < 2:
        for number, _ in poll.poll(100):
            try:
                text = held[number].recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                text = b""
            told += b"limit-connections" in text
            if b" 200 Connection" in text:
                continue
            if text == b"" or b"limit-connections" in text:
                poll.unregister(number)
                alive.discard(number)
                ended += 1
            quiet_since = time.monotonic()
    os.write(report, f"{len(alive)} {ended} {told}\n".encode())
    os.read(release, 1)


report, release = os.pipe(), os.pipe()
children = []
for _ in range(PROCESSES):
    child = os.fork()
    if child == 0:
        os.close(release[1])
        crowd(report[1], release[0])
        os._exit(0)
    children.append(child)
lines = b""
while lines.count(b"\n") < PROCESSES:
    lines += os.read(report[0], 4096)
totals = [sum(map(int, column)) for column in zip(*(line.split() for line in lines.decode().splitlines()))]
print("held %d ended %d told %d" % tuple(totals), flush=True)
sys.stdin.readline()
os.close(release[1])
for child in children:
    os.waitpid(child, 0)
deadline = time.monotonic() + SETTLE_SECONDS
while True:
    try:
        print(urllib.request.urlopen(url, timeout=30).status, flush=True)
        break
    except OSError:
        # The places are free once the gateway has seen the ends.
        if time.monotonic() > deadline:
            raise
