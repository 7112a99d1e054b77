/**
 * Who listens at a port of a Mac: by netstat(1), which tells every socket to everybody, and lsof(8), which tells an ordinary user
 * whose the user's own are. Parsing is pure.
 */
import { parseAddress } from '../../policies/address.ts';
import { type BriefTool, runBriefly } from '../process/brief-tool.ts';
import type { Holder, Listener, PortWorld } from './dns-port.ts';

const NETSTAT = '/usr/sbin/netstat';
const LSOF = '/usr/sbin/lsof';
/** Rows of a table that are read; an ordinary machine has some hundreds. */
const ROWS = 20_000;

export function macPorts(run: BriefTool = runBriefly): PortWorld {
  return {
    readListeners(port) {
      const tables = (['udp', 'tcp'] as const).map((transport) => ({
        transport,
        ...run(NETSTAT, ['-an', '-p', transport]),
      }));
      if (tables.every(({ exitCode }) => exitCode !== 0)) return null;
      return tables
        .flatMap(({ transport, stdout }) => parseNetstat(transport, stdout))
        .filter((listener) => listener.port === port);
    },
    findHolders(listeners) {
      const [port] = listeners.map((listener) => listener.port);
      if (port === undefined) return new Map();
      // It ends with 1 also where it saw some of them.
      const { stdout } = run(LSOF, ['-nP', '+c0', `-iTCP:${port}`, `-iUDP:${port}`, '-F', 'pcPn']);
      const holders = parseLsof(stdout);
      return new Map(
        listeners.flatMap((listener) => {
          const holder = holders.get(keyOf(listener.transport, listener.address, port));
          return holder === undefined ? [] : [[listener, holder] as const];
        }),
      );
    },
  };
}

/** `tcp4 0 0 *.53 *.* LISTEN`, `udp6 0 0 fe80::1%lo0.53 *.*`: the port stands behind the last dot. Other rows are passed over. */
export function parseNetstat(transport: 'udp' | 'tcp', text: string): readonly Listener[] {
  return text
    .split('\n')
    .slice(0, ROWS)
    .flatMap((row): readonly Listener[] => {
      const [proto = '', , , local = '', remote, state] = row.trim().split(/\s+/);
      const isOpen =
        proto.startsWith(transport) && remote === '*.*' && (transport === 'udp' || state === 'LISTEN');
      const [, host, port] = /^(.+)\.(\d{1,5})$/.exec(local) ?? [];
      if (!isOpen || host === undefined) return [];
      return [{ transport, address: plain(host), port: Number(port) }];
    });
}

/** Fields of lsof, one a line: `p612`, `cmDNSResponder`, then for each socket `PUDP` and `n*:53`. */
export function parseLsof(text: string): ReadonlyMap<string, Holder> {
  const holders = new Map<string, Holder>();
  let pid = 0;
  let name = '';
  let transport: 'udp' | 'tcp' = 'udp';
  for (const line of text.split('\n').slice(0, ROWS)) {
    const value = line.slice(1);
    if (line[0] === 'p') pid = Number(value);
    else if (line[0] === 'c') name = value;
    else if (line[0] === 'P') transport = value === 'TCP' ? 'tcp' : 'udp';
    else if (line[0] === 'n') {
      const [, host, port] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(value) ?? [];
      if (host !== undefined && Number.isSafeInteger(pid))
        holders.set(keyOf(transport, plain(host), Number(port)), { name, pid });
    }
  }
  return holders;
}

function keyOf(transport: string, address: string, port: number): string {
  return `${transport} ${address} ${port}`;
}

function plain(host: string): string {
  const parsed = parseAddress(host.replace(/%.*$/, ''));
  return parsed.ok ? parsed.value : host;
}
