/** Where metrics are served, `unix:PATH` or a loopback port, as a flag. Pure. */
import { resolve } from 'node:path';
import { parseAuthority } from '../../policies/hostname.ts';
import type { IpAddress } from '../../policies/model.ts';
import { SOCKET_PATH_BYTES } from '../control/protocol.ts';
import { SandError } from '../errors.ts';
import { isAtOrBelow, spelled } from '../run/spelling.ts';

export type MetricsPlace =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'port'; readonly address: IpAddress; readonly port: number };

const UNIX = 'unix:';

/** Raises `usage`. Port 0 takes a free one; `cwd` is what a relative path is of. */
export function parseMetricsPlace(text: string, cwd: string): MetricsPlace {
  if (text.startsWith(UNIX)) {
    const path = resolve(cwd, text.slice(UNIX.length));
    if (text.length === UNIX.length || text.includes('\0')) throw refused(text, 'it names no path');
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES)
      throw refused(text, `the path is longer than ${SOCKET_PATH_BYTES} bytes`);
    return { kind: 'unix', path };
  }
  const isAnyPort = text.endsWith(':0');
  const parsed = parseAuthority(isAnyPort ? `${text.slice(0, -1)}1` : text, null);
  if (!parsed.ok || parsed.value.host.kind !== 'address')
    throw refused(text, 'not a Unix socket nor an address and port');
  const { address } = parsed.value.host;
  // Fail closed: what hosts a guest asked for is nobody's business on the network.
  if (address !== '127.0.0.1' && address !== '::1')
    throw refused(text, 'only 127.0.0.1 and [::1] are served');
  return { kind: 'port', address, port: isAnyPort ? 0 : parsed.value.port };
}

export function formatMetricsPlace(place: MetricsPlace): string {
  if (place.kind === 'unix') return `${UNIX}${place.path}`;
  return `http://${place.address === '::1' ? '[::1]' : place.address}:${place.port}/metrics`;
}

function refused(text: string, why: string): SandError {
  const hint = 'write for example --metrics unix:/run/user/1000/sand.sock or --metrics 127.0.0.1:9464';
  return new SandError('usage', `--metrics ${text}: ${why}`, hint);
}

/** Fail closed: what the guest could see and connect to is no place for what is told of it. */
export function refuseGuestPlace(
  place: MetricsPlace,
  sources: readonly string[],
  platform: NodeJS.Platform = process.platform,
): void {
  if (place.kind !== 'unix') return;
  const at = spelled(place.path, platform);
  const inside = sources.find((source) => isAtOrBelow(at, spelled(source, platform)));
  if (inside !== undefined) throw refused(formatMetricsPlace(place), `the guest sees ${inside}`);
}
