/**
 * Which resolvers the gateway would ask, and whether the first of them answers. Leaves to `dns/` how
 * resolv.conf is read.
 */

import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { parseResolvConf } from '../../dns/system-resolvers.ts';
import type { Finding } from '../backends/backend.ts';
import { ok, warning } from './finding.ts';

const CHECK = 'resolvers';

/** A resolver on the way to the internet answers within tens of milliseconds. */
const ANSWER_TIMEOUT_MS = 2_000;

/** RFC 6761: no resolver finds it, so that an answer costs no look-up outside. */
const QUESTION = 'sand-doctor.invalid';

/** What c-ares says when nothing came back; every other outcome is an answer of the server. */
const SILENCE: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECONNREFUSED', 'ECANCELLED']);

export interface ResolverWorld {
  /** Null where it cannot be read. */
  readonly readConf: () => string | null;
  /** Null where it answered, else why not. */
  readonly ask: (address: string, port: number) => Promise<string | null>;
}

export async function checkResolvers(world: ResolverWorld = SYSTEM): Promise<readonly Finding[]> {
  const conf = world.readConf();
  const servers = parseResolvConf(conf ?? '');
  const listed = servers.map(({ address }) => address).join(', ');
  const first = servers[0];
  if (conf === null || !/^\s*nameserver\s/m.test(conf)) {
    const message = `/etc/resolv.conf ${conf === null ? 'cannot be read' : 'names none'}: ${listed} is asked`;
    return [warning(CHECK, message, 'name a resolver there, or with --dns-upstream')];
  }
  const silence = first === undefined ? null : await world.ask(first.address, first.port);
  if (silence === null) return [ok(CHECK, listed)];
  const message = `${listed}: the first gave no answer (${silence})`;
  return [
    warning(CHECK, message, 'check the network, /etc/resolv.conf, or name another with --dns-upstream'),
  ];
}

const SYSTEM: ResolverWorld = {
  readConf() {
    try {
      return readFileSync('/etc/resolv.conf', 'utf8');
    } catch {
      return null;
    }
  },
  ask: askResolver,
};

/** One question, asked once. */
export async function askResolver(address: string, port: number): Promise<string | null> {
  const resolver = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: 1, maxTimeout: ANSWER_TIMEOUT_MS });
  resolver.setServers([address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`]);
  try {
    await resolver.resolve4(QUESTION);
    return null;
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : 'unknown';
    return SILENCE.has(code) ? code : null;
  }
}
