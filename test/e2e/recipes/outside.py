"""The world outside of the gateway: a web server, a name server, and a sink that tells of every datagram that comes."""
import socket, socketserver, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

ADDRESS = sys.argv[1]


def tell(text):
    print(text, flush=True)


class Web(BaseHTTPRequestHandler):
    def do_GET(self):
        tell(f'web {self.headers["Host"]} from {self.client_address[0]}')
        body = f'hello from {self.headers["Host"]}\n'.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, 53))
    while True:
        query, peer = server.recvfrom(4096)
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode('latin1'))
            at += query[at] + 1
        name, question, kind = '.'.join(labels).lower(), query[12:at + 5], query[at + 2]
        tell(f'name {name} from {peer[0]}')
        known = name.endswith('.origin.test')
        record = b'\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04' + socket.inet_aton(ADDRESS) if known and kind == 1 else b''
        head = query[:2] + (b'\x81\x80' if known else b'\x81\x83') + b'\0\x01\0' + bytes([len(record) > 0]) + b'\0\0\0\0'
        server.sendto(head + question + record, peer)


def sink():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((ADDRESS, 9999))
    while True:
        data, peer = server.recvfrom(4096)
        tell(f'datagram {data.decode("latin1")} from {peer[0]}')


for loop in (names, sink):
    threading.Thread(target=loop, daemon=True).start()
web = HTTPServer((ADDRESS, 80), Web)
tell('ready')
web.serve_forever()
