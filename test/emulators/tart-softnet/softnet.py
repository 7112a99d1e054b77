"""A `softnet` for the emulator's own tests: answers ARP, DHCP and ICMP echo on the cable at descriptor 0, and nothing else. What it was started
with goes to the file SOFTNET_TOLD, as JSON; on SIGINT it ends, as the real one."""

import json
import os
import signal
import socket
import struct
import sys

GATEWAY = bytes([192, 168, 127, 1])
GUEST = bytes([192, 168, 127, 2])
OWN = bytes.fromhex("020000000001")


def total(data):
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


def packet(protocol, source, target, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0, source, target)
    return head[:10] + struct.pack("!H", total(head)) + head[12:] + payload


def lease(asked):
    kind = asked[242] if asked[240:242] == b"\x35\x01" else 1
    options = [
        (53, bytes([2 if kind == 1 else 5])),
        (54, GATEWAY),
        (51, struct.pack("!I", 3600)),
        (1, bytes([255, 255, 255, 0])),
        (3, GATEWAY),
        (6, GATEWAY),
        (26, struct.pack("!H", 1400)),
        (252, b"http://192.168.127.1/proxy.pac"),
    ]
    text = b"".join(bytes([code, len(value)]) + value for code, value in options) + b"\xff"
    return b"\x02\x01\x06\0" + asked[4:12] + b"\0\0\0\0" + GUEST + GATEWAY + b"\0\0\0\0" + asked[28:44] + bytes(192) + asked[236:240] + text


def answer(frame):
    sender, ether = frame[6:12], frame[12:14]
    if ether == b"\x08\x06" and frame[20:22] == b"\0\x01" and frame[38:42] == GATEWAY:
        return sender + OWN + b"\x08\x06" + frame[14:20] + b"\0\x02" + OWN + GATEWAY + frame[22:32]
    if ether != b"\x08\0":
        return None
    body = frame[34:]
    if frame[23] == 17 and body[2:4] == b"\0\x43":
        reply = lease(body[8:])
        datagram = struct.pack("!HHHH", 67, 68, 8 + len(reply), 0) + reply
        return b"\xff" * 6 + OWN + b"\x08\0" + packet(17, GATEWAY, b"\xff" * 4, datagram)
    if frame[23] == 1 and body[0] == 8 and frame[30:34] == GATEWAY:
        echo = b"\0\0" + b"\0\0" + body[4:struct.unpack("!H", frame[16:18])[0] - 20]
        return sender + OWN + b"\x08\0" + packet(1, GATEWAY, frame[26:30], echo[:2] + struct.pack("!H", total(echo)) + echo[4:])
    return None


signal.signal(signal.SIGINT, lambda *_: os._exit(0))
cable = socket.socket(fileno=0)
told = os.environ.get("SOFTNET_TOLD")
if told:
    with open(told + ".new", "w") as file:
        stdout = "socket" if os.path.exists("/proc/self/fd/1") and os.readlink("/proc/self/fd/1").startswith("socket") else "other"
        kind = {"family": cable.family.name, "type": cable.type.name, "stdout": stdout}
        json.dump({"argv": sys.argv[1:], "pid": os.getpid(), "ppid": os.getppid(), **kind}, file)
    os.rename(told + ".new", told)
if "--control-fd" in sys.argv:
    os.write(1, b'{"hello":"from softnet"}\n')
# Nothing else tells that whoever holds the other end is gone: it would stay for good, and keep their outputs open.
cable.settimeout(0.1)
parent = os.getppid()
while os.getppid() == parent:
    try:
        reply = answer(cable.recv(65536))
    except TimeoutError:
        continue
    if reply is not None:
        cable.send(reply)
