/** The forms that attacks come in, each with what must come of it by itself; the lists fill them in. Pure. */
import type { Attack, Must } from './attack.ts';
import { connectHead } from './messages.ts';

export function tried(id: string, words: string, name: string, argument: string | null = null): Attack {
  return {
    id,
    tried: words,
    attempt: { kind: 'try', name, argument },
    must: { kind: 'fails', absent: [] },
    isBinding: true,
    aims: [],
  };
}

export function hostSide(id: string, words: string, must: Must): Attack {
  return { id, tried: words, attempt: null, must, isBinding: true, aims: [] };
}

export function sent(id: string, words: string, place: string, port: number, bytes: Uint8Array): Attack {
  return {
    id,
    tried: words,
    attempt: { kind: 'send', place, port, bytes },
    must: { kind: 'fails', absent: [] },
    isBinding: true,
    aims: [],
  };
}

export function through(id: string, words: string, bytes: Uint8Array): Attack {
  return sent(id, words, 'proxy', 0, bytes);
}

export function connectTo(host: string, port: number, aims: readonly string[]): Attack {
  const words = `proxy: CONNECT ${host}:${port}`;
  return {
    ...through(slug('connect', host, port), words, connectHead(`${host}:${port}`)),
    must: { kind: 'unsent', text: `CONNECT ${host}:${port}`, end: 'told' },
    aims,
  };
}

export function rawTcp(address: string, port: number, what: string): Attack {
  return {
    id: slug('tcp', address, port),
    tried: `raw TCP to ${shown(address, port)} (${what})`,
    attempt: { kind: 'tcp', address, port },
    must: { kind: 'unreachable', transport: 'tcp', address, port },
    isBinding: true,
    aims: [],
  };
}

export function rawUdp(address: string, port: number, what: string): Attack {
  return {
    ...tried(
      slug('udp', address, port),
      `UDP to ${shown(address, port)} (${what})`,
      'udp-to',
      `${address} ${port}`,
    ),
    must: { kind: 'unreachable', transport: 'udp', address, port },
  };
}

export function ping(address: string): Attack {
  return {
    ...tried(slug('icmp', address, 0), `ICMP echo to ${address}`, 'ping', address),
    must: { kind: 'unreachable', transport: 'icmp', address, port: 0 },
  };
}

export function slug(kind: string, host: string, port: number): string {
  return `${kind}-${host.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '')}-${port}`;
}

export function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

export function shown(address: string, port: number): string {
  return `${bracketed(address)}:${port}`;
}

export function list(
  id: string,
  words: string,
  what: 'interfaces' | 'routes' | 'status',
  kind: 'interfaces' | 'routes' | 'privileges',
): Attack {
  return {
    id,
    tried: words,
    attempt: { kind: 'list', what },
    must: { kind },
    isBinding: true,
    aims: [],
  };
}

/** The end of it, which tells them apart. */
export function shortened(path: string): string {
  return path.length > 24 ? `\u2026${path.slice(-23)}` : path;
}
