"""Holds a guest's only cable: starts `softnet` with one end of a datagram socket pair as its descriptor 0, makes a TAP device in
the guest's network namespace, and moves each frame between the two. Node can make neither; when it all ends is decided by machine.ts.

A guest in a machine of its own is that machine's process instead, which inherits the end.

Commands come on descriptor 0, one a line: `guest PID`, `machine JSON`, `stop`, `kill`. What happens is told on descriptor 3:
`softnet PID`, `up CARD`, `machine PID`, `halted STATUS`, `failed TEXT`, `ended STATUS`. The end of descriptor 0 is the end of this program.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

REPORT = 3
CONTROL = 4
FRAME = 65536
MTU = 1500
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
SIOCSIFHWADDR = 0x8924
SIOCSIFMTU = 0x8922
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
ARPHRD_ETHER = 1

libc = ctypes.CDLL(None, use_errno=True)


def report(line):
    try:
        os.write(REPORT, (line + "\n").encode())
    except OSError:
        os._exit(1)


def check_control():
    """As the tool does: what is handed over is a connected stream socket of this machine."""
    try:
        control = socket.socket(fileno=os.dup(CONTROL))
    except OSError:
        return "is not a socket"
    if control.type != socket.SOCK_STREAM:
        return "is not a stream socket"
    try:
        control.getpeername()
    except OSError:
        return "is not connected"
    return None if control.family == socket.AF_UNIX else "is not a Unix domain socket"


def enter_network(path_or_fd):
    space = path_or_fd if isinstance(path_or_fd, int) else os.open(path_or_fd, os.O_RDONLY | os.O_CLOEXEC)
    if libc.setns(space, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(space)


def make_card(pid, name, mac):
    """The device belongs to the namespace that is entered meanwhile; it is gone with this process."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    enter_network("/proc/%d/ns/net" % pid)
    try:
        card = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        label = name.encode()
        fcntl.ioctl(card, TUNSETIFF, struct.pack("16sH22x", label, IFF_TAP | IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            address = bytes.fromhex(mac.replace(":", ""))
            fcntl.ioctl(asking, SIOCSIFHWADDR, struct.pack("16sH6s8x", label, ARPHRD_ETHER, address))
            fcntl.ioctl(asking, SIOCSIFMTU, struct.pack("16si12x", label, MTU))
        return card
    finally:
        enter_network(own)


def leave_guest(card, end):
    while True:
        try:
            frame = os.read(card, FRAME)
        except OSError:
            return
        try:
            end.send(frame)
        except OSError:
            # Nobody is at the other end: as with a cable that was pulled out, the frame is lost.
            pass


def enter_guest(card, end):
    while True:
        frame = end.recv(FRAME)
        try:
            os.write(card, frame)
        except OSError:
            # Too short to be a frame, or the guest has its card down.
            pass


def watch(process, word):
    report("%s %d" % (word, process.wait()))


def run_machine(plan, number, end):
    """Its number of the end is one that its command line knows; from here on the frames are its own."""
    os.dup2(end.fileno(), number)
    try:
        machine = subprocess.Popen(
            [plan["program"], *plan["words"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[number],
            cwd=plan["folder"],
        )
    except OSError as error:
        return report("failed machine %s" % error)
    finally:
        os.close(number)
    report("machine %d" % machine.pid)
    threading.Thread(target=watch, args=[machine, "halted"], daemon=True).start()


def main():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Handlers and not SIG_IGN, which the child would inherit: a terminal's ^C is for it as well.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    plan = json.loads(sys.argv[1])
    wrong = check_control() if plan["hasControl"] else None
    if wrong is not None:
        return report("failed control " + wrong)
    end, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for side in (end, other):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    try:
        softnet = subprocess.Popen(
            [plan["softnet"], *plan["arguments"]],
            stdin=other,
            stdout=CONTROL if plan["hasControl"] else None,
            cwd=plan["cwd"],
        )
    except OSError as error:
        return report("failed start %s" % error)
    other.close()
    report("softnet %d" % softnet.pid)
    threading.Thread(target=watch, args=[softnet, "ended"], daemon=True).start()
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "guest":
            try:
                card = make_card(int(rest), plan["card"], plan["mac"])
                if plan["secondCard"] is not None:
                    second = make_card(int(rest), plan["secondCard"], "02:00:5a:4e:00:02")
            except OSError as error:
                report("failed card %s" % error)
                continue
            for move in (leave_guest, enter_guest):
                threading.Thread(target=move, args=[card, end], daemon=True).start()
            report("up " + plan["card"])
        elif word == "machine":
            run_machine(json.loads(rest), plan["machineEnd"], end)
        elif word == "stop":
            softnet.send_signal(signal.SIGINT)
        elif word == "kill":
            softnet.kill()


main()
os._exit(0)
