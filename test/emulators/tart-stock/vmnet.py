#!/usr/bin/env python3
"""A stock `softnet` for emulated hosts: takes its options, applies the classic rules to every frame of the guest, and puts what passes on a
bridge of the network namespace that it was started in, as vmnet does on a Mac. Written from the facts on its rules, not from sand's model of them.

Of the emulator's own: `--emulated-version V`, `--emulated-powerless` (it may not become root), `--emulated-nat` (no rules: the host's NAT), and
`--emulated-decide`, which reads packets as JSON lines and prints whether each passes. The bridge is a TAP device and gone with this program."""

import argparse
import fcntl
import ipaddress
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
FRAME = 65536
LEASE_SECONDS = 600
NOT_GLOBAL = [
    ipaddress.ip_network(text)
    for text in """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.168.0.0/16
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4""".split()
]


class BadRule(Exception):
    pass


def read_rules(text, gateway):
    """The classic language: a comma list of IPv4 networks and `@host`."""
    rules = []
    for word in text.split(",") if text is not None else []:
        if word == "@host":
            rules.append(ipaddress.ip_network(gateway + "/32"))
            continue
        address, slash, length = word.partition("/")
        if not slash or not length.isdigit() or any(part != str(int(part)) if part.isdigit() else True for part in address.split(".")):
            raise BadRule(word)
        try:
            rules.append(ipaddress.ip_network(word, strict=False))
        except ValueError:
            raise BadRule(word) from None
    return rules


class Filter:
    def __init__(self, allow, block, gateway, resolvers):
        self.allow, self.block = read_rules(allow, gateway), read_rules(block, gateway)
        self.gateway, self.resolvers, self.lease = gateway, resolvers, None

    def longest(self, rules, address):
        return max((rule.prefixlen for rule in rules if address in rule), default=-1)

    def arp(self, sender):
        return sender == self.lease or (self.lease is None and sender == "0.0.0.0")

    def ipv4(self, source, destination, protocol, source_port, port):
        if self.lease is not None and source == self.lease:
            address = ipaddress.ip_address(destination)
            allowed, blocked = self.longest(self.allow, address), self.longest(self.block, address)
            if allowed >= 0 or blocked >= 0:
                return allowed > blocked
            if not any(address in network for network in NOT_GLOBAL) or destination == self.gateway:
                return True
            if protocol == "udp" and port == 53 and destination in self.resolvers:
                return True
        return protocol == "udp" and destination == "255.255.255.255" and (source_port == 68 or port == 67)


class Everything:
    """The host's NAT asks nobody."""

    lease = None

    def arp(self, _sender):
        return True

    def ipv4(self, *_packet):
        return True


def checksum(data):
    data += b"\0" * (len(data) % 2)
    value = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return ~value & 0xFFFF


class Bridge:
    """The host's end: a network of its own for this guest, with the host as gateway, DHCP server, and (by name alone) resolver."""

    def __init__(self):
        # A machine's own network leads somewhere, and the namespace of a test does not.
        if subprocess.run(["ip", "route", "show", "default"], capture_output=True, check=True).stdout:
            sys.exit("not emulated: on this machine's own network; run it in a network namespace of its own")
        taken = subprocess.run(["ip", "-o", "-4", "addr"], capture_output=True, text=True, check=True).stdout
        at = next(at for at in range(64, 128) if "192.168.%d." % at not in taken)
        self.name, self.gateway, self.guest = "bridge%d" % (36 + at), "192.168.%d.1" % at, "192.168.%d.5" % at
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", self.name.encode(), IFF_TAP | IFF_NO_PI))
        for words in (["addr", "add", self.gateway + "/24", "dev", self.name], ["link", "set", self.name, "up"]):
            subprocess.run(["ip", *words], check=True)
        link = subprocess.run(["ip", "-o", "link", "show", self.name], capture_output=True, text=True, check=True).stdout
        self.mac = bytes.fromhex(link.split("link/ether ")[1].split()[0].replace(":", ""))

    def lease(self, asked, sender):
        """An answer to a DHCP message, as a frame; with whether it grants the lease."""
        kind = asked[242] if asked[240:242] == b"\x35\x01" else 1
        gateway, guest = socket.inet_aton(self.gateway), socket.inet_aton(self.guest)
        options = [
            (53, bytes([2 if kind == 1 else 5])),
            (54, gateway),
            (51, struct.pack("!I", LEASE_SECONDS)),
            (1, bytes([255, 255, 255, 0])),
            (3, gateway),
            (6, gateway),
        ]
        text = b"".join(bytes([code, len(value)]) + value for code, value in options) + b"\xff"
        message = b"\x02\x01\x06\0" + asked[4:12] + b"\0\0\0\0" + guest + gateway + b"\0\0\0\0" + asked[28:44] + bytes(192) + asked[236:240] + text
        datagram = struct.pack("!HHHH", 67, 68, 8 + len(message), 0) + message
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0, gateway, b"\xff" * 4)
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return sender + self.mac + b"\x08\0" + head + datagram, kind == 3


def ports_of(frame):
    start = 14 + (frame[14] & 15) * 4
    return struct.unpack("!HH", frame[start : start + 4]) if frame[23] in (6, 17) and len(frame) >= start + 4 else (0, 0)


PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


def passes(frame, mac, rules):
    if frame[6:12] != mac:
        return False
    if frame[12:14] == b"\x08\x06":
        return rules.arp(socket.inet_ntoa(frame[28:32]))
    if frame[12:14] != b"\x08\0" or len(frame) < 34:
        return isinstance(rules, Everything)
    source_port, port = ports_of(frame)
    return rules.ipv4(socket.inet_ntoa(frame[26:30]), socket.inet_ntoa(frame[30:34]), PROTOCOLS.get(frame[23], "other"), source_port, port)


def from_host(bridge, cable):
    while True:
        frame = os.read(bridge.tap, FRAME)
        if frame[12:14] not in (b"\x08\0", b"\x08\x06"):
            continue
        try:
            cable.send(frame)
        except OSError:
            pass


def serve(options):
    bridge = Bridge()
    try:
        rules = Everything() if options.emulated_nat else Filter(options.allow, options.block, bridge.gateway, [bridge.gateway])
    except BadRule as bad:
        sys.exit("error: invalid value '%s'" % bad)
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    cable = socket.socket(fileno=options.vm_fd)
    cable.settimeout(0.1)
    mac = bytes.fromhex(options.vm_mac_address.replace(":", ""))
    threading.Thread(target=from_host, args=[bridge, cable], daemon=True).start()
    parent = os.getppid()
    # Nothing else tells that whoever holds the other end is gone.
    while os.getppid() == parent:
        try:
            frame = cable.recv(FRAME)
        except TimeoutError:
            continue
        if not passes(frame, mac, rules):
            continue
        if frame[12:14] == b"\x08\0" and frame[23] == 17 and ports_of(frame)[1] == 67:
            answer, grants = bridge.lease(frame[42:], frame[6:12])
            if grants:
                rules.lease = bridge.guest
            cable.send(answer)
            continue
        try:
            os.write(bridge.tap, frame)
        except OSError:
            pass


def decide():
    """Each line: the lists, the network and one packet; answered `true`, `false`, or `refused` for a list that does not read."""
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            rules = Filter(asked["allow"], asked["block"], asked["gateway"], asked["resolvers"])
        except BadRule:
            print("refused")
            continue
        rules.lease = asked["lease"]
        packet = asked["packet"]
        if packet["ether"] == "arp":
            print(json.dumps(packet["hasOwnMac"] and rules.arp(packet["source"])))
        else:
            words = (packet["source"], packet["destination"], packet["protocol"], packet["sourcePort"], packet["destinationPort"])
            print(json.dumps(packet["hasOwnMac"] and packet["ether"] == "ipv4" and rules.ipv4(*words)))


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--vm-fd", type=int)
    parser.add_argument("--vm-mac-address")
    parser.add_argument("--vm-net-type", choices=["nat", "host"], default="nat")
    parser.add_argument("--allow")
    parser.add_argument("--block")
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--emulated-version", default="0.22.0")
    parser.add_argument("--emulated-powerless", action="store_true")
    parser.add_argument("--emulated-nat", action="store_true")
    parser.add_argument("--emulated-decide", action="store_true")
    options = parser.parse_args()
    if options.emulated_decide:
        return decide()
    if options.version:
        return print("softnet " + options.emulated_version)
    if options.emulated_powerless:
        sys.exit("root privileges are required to run and passwordless sudo was not available")
    return serve(options)


main()
