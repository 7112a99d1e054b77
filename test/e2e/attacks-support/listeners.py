"""Runs on the host: listens on Unix sockets by path (a relative one is bound as such, from its folder) and
reads FIFOs; says `ready`, and then one line for whoever came."""
import json, os, selectors, socket, sys

given = json.loads(sys.argv[1])
waiting = selectors.DefaultSelector()
for entry in given['sockets']:
    os.chdir(entry.get('folder', '/'))
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if entry.get('datagram') else socket.SOCK_STREAM)
    server.bind(entry['path'])
    if entry.get('renamed'):
        os.rename(entry['path'], entry['renamed'])
    os.chmod(entry.get('renamed', entry['path']), 0o777)
    if not entry.get('datagram'):
        server.listen()
    waiting.register(server, selectors.EVENT_READ, entry['path'])
for path in given['fifos']:
    os.mkfifo(path)
    os.chmod(path, 0o666)
    waiting.register(os.open(path, os.O_RDWR | os.O_NONBLOCK), selectors.EVENT_READ, path)
waiting.register(sys.stdin, selectors.EVENT_READ, None)
print('ready', flush=True)
while True:
    for key, _ in waiting.select():
        if key.data is None:
            sys.exit()
        waiting.unregister(key.fileobj)
        print(key.data, flush=True)
