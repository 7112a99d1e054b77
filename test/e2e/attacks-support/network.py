"""Tries every way to an address that is not through the policy: sockets, routes, resolvers, the gateway."""
import os, socket, struct, subprocess
from attempts import attempt, finish, given, outcomes

TIMEOUT = 2.0


def family(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def tcp(address, port, say=b'GET / HTTP/1.0\r\n\r\n'):
    """What the other side said, if anybody took the connection."""
    with socket.socket(family(address), socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT)
        client.connect((address, port))
        try:
            client.sendall(say)
            return 'heard:' + client.recv(200).decode('latin1')
        except socket.timeout:
            return 'silence'


def udp(address, port, say=b'canary', kind=0):
    with socket.socket(family(address), socket.SOCK_DGRAM, kind) as client:
        client.settimeout(0.15)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.connect((address, port))
        client.send(say)
        try:
            return 'heard:' + client.recv(500).hex()
        except socket.timeout:
            return 'silence'


def question(name):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in name.split('.'))
    return struct.pack('>6H', 0x5A5D, 0x0100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>2H', 1, 1)


def dns_udp(server, name, port=53):
    with socket.socket(family(server), socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT)
        client.connect((server, port))
        client.send(question(name))
        answer = client.recv(2048)
        return {'rcode': answer[3] & 15, 'answers': struct.unpack('>H', answer[6:8])[0]}


def dns_tcp(server, name, port=53):
    with socket.socket(family(server), socket.SOCK_STREAM) as client:
        client.settimeout(TIMEOUT)
        client.connect((server, port))
        query = question(name)
        client.sendall(struct.pack('>H', len(query)) + query)
        answer = client.recv(2048)[2:]
        return {'rcode': answer[3] & 15, 'answers': struct.unpack('>H', answer[6:8])[0]} if len(answer) > 8 else 'closed'


def said(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    return {'code': done.returncode, 'said': done.stdout + done.stderr}


def netlink(message_type, body):
    """The errno (as a positive number) with which rtnetlink acknowledges a request; 0 is success."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as link:
        link.settimeout(TIMEOUT)
        link.send(struct.pack('=IHHII', 16 + len(body), message_type, 0x1 | 0x4 | 0x400 | 0x100, 1, 0) + body)
        return -struct.unpack('=i', link.recv(4096)[16:20])[0]


for address, port in given.get('canaries', []):
    attempt(f'tcp {address}', lambda: tcp(address, port))
    attempt(f'udp {address}', lambda: udp(address, port))
    host = f'[{address}]' if ':' in address else address
    proxy = given['gateway']
    connect = f'CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n'.encode()
    forward = f'GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n'.encode()
    attempt(f'connect {address}', lambda: tcp(proxy, 3128, connect))
    attempt(f'forward {address}', lambda: tcp(proxy, 3128, forward))
for host in given.get('disguises', []):
    port = given['canaries'][0][1]
    attempt(f'forward {host}', lambda: tcp(given['gateway'], 3128, f'GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n'.encode()))
    attempt(f'connect {host}', lambda: tcp(given['gateway'], 3128, f'CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n'.encode()))
for address, port in given.get('raw', []):
    attempt(f'tcp {address} {port}', lambda: tcp(address, port))
for address, port in given.get('datagrams', []):
    attempt(f'udp {address} {port}', lambda: udp(address, port))
for address, port in given.get('gatewayPorts', []):
    attempt(f'gateway {address} {port}', lambda: tcp(address, port))
for address in given.get('pings', []):
    attempt(f'ping {address}', lambda: udp(address, 0, bytes.fromhex('0800f7ff00000000' if '.' in address else '8000000000000000'), 1 if '.' in address else 58))
for server in given.get('resolvers', []):
    for name in given['names']:
        attempt(f'dns udp {server} {name}', lambda: dns_udp(server, name))
        attempt(f'dns tcp {server} {name}', lambda: dns_tcp(server, name))
    attempt(f'dns elsewhere {server}', lambda: dns_udp(server, given['names'][0], 5353))
    attempt(f'dns elsewhere by tcp {server}', lambda: dns_tcp(server, given['names'][0], 853))

if 'abstract' in given:
    def abstract():
        with socket.socket(socket.AF_UNIX) as client:
            client.connect('\0' + given['abstract'])
            return 'connected'

    attempt('abstract', abstract)

if given.get('routes'):
    index = socket.if_nametoindex('sand1')
    default4 = struct.pack('=8BI', 2, 0, 0, 0, 254, 4, 253, 1, 0)
    attempt('netlink: add a default route', lambda: netlink(24, default4 + struct.pack('=HHI', 8, 4, 1)))
    attempt('netlink: add an address', lambda: netlink(20, struct.pack('=4BI', 2, 24, 0, 0, index) + struct.pack('=HH', 8, 2) + socket.inet_aton('192.0.2.77')))
    attempt('netlink: make an interface', lambda: netlink(16, struct.pack('=BBHiII', 0, 0, 0, 0, 0, 0) + struct.pack('=HH4sHH8s', 8, 3, b'tap\0', 20 - 4, 18, b'\x0a\0\x01\0tun\0')))
    attempt('netlink: take the link down', lambda: netlink(16, struct.pack('=BBHiII', 0, 0, 0, index, 0, 1)))
    for name, command in {
        'ip route': ('ip', 'route', 'add', 'default', 'dev', 'lo'),
        'ip route flush': ('ip', 'route', 'flush', 'table', 'main'),
        'ip addr': ('ip', 'addr', 'add', '192.0.2.77/24', 'dev', 'sand1'),
        'ip link': ('ip', 'link', 'set', 'sand1', 'down'),
        'ip netns': ('ip', 'netns', 'add', 'other'),
        'nft': ('nft', 'add', 'table', 'inet', 'mine'),
        'nft of the gateway': ('nft', 'flush', 'ruleset'),
    }.items():
        attempt(f'command: {name}', lambda: said(*command))

    def option(level, name, value):
        with socket.socket() as client:
            client.setsockopt(level, name, value)
            return 'set'

    attempt('SO_MARK', lambda: option(socket.SOL_SOCKET, 36, 1))
    attempt('IP_TRANSPARENT', lambda: option(socket.SOL_IP, 19, 1))

    def freebind():
        with socket.socket() as client:
            client.setsockopt(socket.SOL_IP, 15, 1)
            client.settimeout(TIMEOUT)
            client.bind((given['canaries'][-1][0] if '.' in given['canaries'][-1][0] else '127.0.0.1', 0))
            client.connect((given['canaries'][0][0], given['canaries'][0][1]))
            return 'connected'

    attempt('connect from a foreign address', freebind)
    outcomes['interfaces'] = sorted(os.listdir('/proc/sys/net/ipv4/conf'))
    attempt('forwarding', lambda: open('/proc/sys/net/ipv4/ip_forward', 'w').write('1'))
finish()
