/**
 * A Mac's network as a namespace of its own, in which sand, the emulated `tart` and what holds its guests' cards run, and beside
 * it another machine: a web server and a name server. Nothing of it touches the network of this machine.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';

/** A documentation address, of the other machine. */
export const OTHER_MACHINE = '203.0.113.10';
/** Of the host on the network that both are on. */
export const HOST_ELSEWHERE = '203.0.113.1';
/** Where the host has a server of its own, as a developer's: on every address. */
export const HOST_SERVER_PORT = 2222;
export const ALLOWED_NAME = 'allowed.origin.test';
export const DENIED_NAME = 'denied.origin.test';
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface HostNetwork {
  /** Program and arguments that become what follows, on the host's network. */
  readonly through: readonly string[];
  end(): Promise<void>;
}

/** Serves HTTP on every address at the ports that it is given, and where it is told so names: each has the address of the other machine. */
const SERVER = `
import http.server, socket, struct, sys, threading
class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = ("%s of %s\\n" % (sys.argv[1], self.headers.get("Host"))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words):
        pass
def names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", 53))
    while True:
        asked, peer = server.recvfrom(512)
        at = 12
        while asked[at]:
            at += asked[at] + 1
        kind = struct.unpack("!H", asked[at + 1 : at + 3])[0]
        question = asked[12 : at + 5]
        answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4" + socket.inet_aton("${OTHER_MACHINE}") if kind == 1 else b""
        server.sendto(asked[:2] + b"\\x81\\x80\\0\\1" + struct.pack("!H", 1 if answer else 0) + b"\\0\\0\\0\\0" + question + answer, peer)
threading.Thread(target=names, daemon=True).start()
server = http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Hello)
print("up", flush=True)
server.serve_forever()
`;

export async function createHostNetwork(): Promise<HostNetwork> {
  const processes: ChildProcess[] = [];
  const begin = async (words: readonly string[]): Promise<ChildProcess> => {
    const [file = '', ...rest] = words;
    const child = spawn(file, rest, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: SYSTEM_PATH },
    });
    processes.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.once('data', () => resolve());
      child.once('error', reject);
      child.once('close', () => reject(new Error(`${words.join(' ')} ended`)));
    });
    return child;
  };
  const held = () =>
    begin(['unshare', '--net', '--', 'sh', '-c', 'ip link set lo up; echo up; exec sleep 3600']);
  const [host, other] = [await held(), await held()];
  const inside = (child: ChildProcess) => ['nsenter', `--net=/proc/${child.pid}/ns/net`, '--'];
  const on = (child: ChildProcess, script: string) => {
    const [file = '', ...rest] = [...inside(child), 'sh', '-ec', script];
    execFileSync(file, rest, { env: { PATH: SYSTEM_PATH }, stdio: 'inherit' });
  };
  // It passes packets on, as a Mac does for guests behind its NAT: what is blocked is blocked by Softnet.
  on(
    host,
    `ip link add out0 type veth peer name in0 netns ${other.pid}; ip addr add ${HOST_ELSEWHERE}/24 dev out0; ip link set out0 up; echo 1 > /proc/sys/net/ipv4/ip_forward`,
  );
  on(
    other,
    `ip addr add ${OTHER_MACHINE}/24 dev in0; ip link set in0 up; ip route add default via ${HOST_ELSEWHERE}`,
  );
  await begin([...inside(other), 'python3', '-c', SERVER, 'hello', '80']);
  await begin([...inside(host), 'python3', '-c', SERVER, 'host', `${HOST_SERVER_PORT}`]);
  return {
    through: inside(host),
    async end() {
      for (const child of processes.reverse()) {
        const ended = new Promise((resolve) => child.once('close', resolve));
        if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await ended;
      }
    },
  };
}
