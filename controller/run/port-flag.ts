/**
 * The values of `-p`: text → typed flags, every mistake with what to write instead. Pure; that an address is one of
 * this host and a port is free shows when it is listened on.
 */
import { REFUSED_PORTS } from '../../dns/limits.ts';
import { parseAddress } from '../../policies/address.ts';
import type { IpAddress } from '../../policies/model.ts';
import { SandError } from '../errors.ts';

/** One port of the guest that the host reaches. */
export interface PortFlag {
  /** Of this host, where it is listened. Never all of its interfaces. */
  readonly address: IpAddress;
  /** 0: any free one. */
  readonly hostPort: number;
  readonly guestPort: number;
}

/** Each is a listener of its own; a project has a handful. */
const PUBLISHED_PORTS = 64;

const LOOPBACK = '127.0.0.1' as IpAddress;
const HINT = 'write for example -p 8080, -p 8080:80, -p 0:80 for any free port, or -p [::1]:8080:80';

/** Every `-p`, in order. Raises `usage`, and `port-refused` for ports that belong to resolvers. */
export function parsePortFlags(texts: readonly string[]): readonly PortFlag[] {
  if (texts.length > PUBLISHED_PORTS)
    throw usage(`-p is given ${texts.length} times`, `give it at most ${PUBLISHED_PORTS} times`);
  const flags = texts.map(parsePortFlag);
  const twice = flags.find(
    ({ address, hostPort }, at) =>
      hostPort !== 0 &&
      flags.findIndex((other) => other.address === address && other.hostPort === hostPort) < at,
  );
  if (twice !== undefined) {
    throw usage(
      `-p names ${formatPlace(twice.address, twice.hostPort)} twice`,
      'give each a port of its own on the host, or 0 for any free one',
    );
  }
  return flags;
}

/** `[ADDR:]HOST:GUEST`, or one port for both. */
export function parsePortFlag(text: string): PortFlag {
  const [, address, hostText, guestText] = /^(?:(\[[^\]]*\]|[^:[\]]*):)?([^:]*):([^:]*)$/.exec(text) ?? [];
  if (guestText === undefined) {
    if (!/^\d+$/.test(text)) throw usage(`-p ${text} does not read as [ADDR:]HOST:GUEST`, HINT);
    const port = parsePort(text, text, 1);
    return { address: LOOPBACK, hostPort: refuseResolvers(text, port), guestPort: port };
  }
  const hostPort = hostText === undefined || hostText === '' ? 0 : parsePort(text, hostText, 0);
  return {
    address: address === undefined ? LOOPBACK : parseHostAddress(text, address),
    hostPort: refuseResolvers(text, hostPort),
    guestPort: parsePort(text, guestText, 1),
  };
}

export function formatPlace(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function parsePort(text: string, digits: string, least: number): number {
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : Number.NaN;
  if (port >= least && port <= 65_535) return port;
  throw usage(`-p ${text}: ${digits === '' ? 'a port is missing' : `${digits} is no port`}`, HINT);
}

function parseHostAddress(text: string, written: string): IpAddress {
  const isBracketed = written.startsWith('[');
  const parsed = parseAddress(isBracketed ? written.slice(1, -1) : written);
  if (!parsed.ok || isBracketed !== parsed.value.includes(':'))
    throw usage(`-p ${text}: ${written} is not an IP address`, HINT);
  const address = parsed.value;
  if (address === '0.0.0.0' || address === '::' || address === '::ffff:0.0.0.0') {
    throw usage(
      `-p ${text}: ${address} is every interface of the host`,
      'name one address of this host; leave it out for 127.0.0.1',
    );
  }
  return address;
}

function refuseResolvers(text: string, port: number): number {
  if (!REFUSED_PORTS.has(port)) return port;
  throw new SandError(
    'port-refused',
    `-p ${text}: sand never listens on port ${port}, which belongs to resolvers`,
    `write another port of the host, such as -p 0:${port} for any free one`,
  );
}

function usage(message: string, hint: string): SandError {
  return new SandError('usage', message, hint);
}
