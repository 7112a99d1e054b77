/**
 * Which resolvers the gateway would ask, and whether the first of them answers. Leaves to `dns/` how
 * resolv.conf, or what macOS tells, is read.
 */

import { Resolver } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { PlainUpstream } from '../../dns/context.ts';
import { parseMacResolvers } from '../../dns/mac-resolvers.ts';
import { parseResolvConf } from '../../dns/system-resolvers.ts';
import type { Finding } from '../backends/backend.ts';
import { scutilAtOnce } from '../gateway/host-resolvers.ts';
import { ok, warning } from './finding.ts';

const CHECK = 'resolvers';

/** A resolver on the way to the internet answers within tens of milliseconds. */
const ANSWER_TIMEOUT_MS = 2_000;

/** RFC 6761: no resolver finds it, so that an answer costs no look-up outside. */
const QUESTION = 'sand-doctor.invalid';

/** What c-ares says when nothing came back; every other outcome is an answer of the server. */
const SILENCE: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECONNREFUSED', 'ECANCELLED']);

export interface ResolverWorld {
  readonly named: () => NamedResolvers;
  /** Null where it answered, else why not. */
  readonly ask: (address: string, port: number) => Promise<string | null>;
}

export interface NamedResolvers {
  readonly servers: readonly PlainUpstream[];
  /** Where they stand, for a sentence. */
  readonly place: string;
  /** Why that place names none; null where it does. */
  readonly lack: string | null;
  /** How many domains have resolvers of their own. */
  readonly domains: number;
}

export async function checkResolvers(world: ResolverWorld = SYSTEM): Promise<readonly Finding[]> {
  const { servers, place, lack, domains } = world.named();
  const others = domains === 0 ? '' : `, and others for ${domains} ${domains === 1 ? 'domain' : 'domains'}`;
  const listed = `${servers.map(({ address }) => address).join(', ')}${others}`;
  const first = servers[0];
  if (lack !== null) {
    const asked = first === undefined ? 'no name can be looked up' : `${listed} is asked`;
    return [warning(CHECK, `${place} ${lack}: ${asked}`, 'name a resolver there, or with --dns-upstream')];
  }
  const silence = first === undefined ? null : await world.ask(first.address, first.port);
  if (silence === null) return [ok(CHECK, listed)];
  const message = `${listed}: the first gave no answer (${silence})`;
  return [warning(CHECK, message, `check the network, ${place}, or name another with --dns-upstream`)];
}

/** Of resolv.conf; null where it cannot be read. Pure. */
export function namedInConf(conf: string | null): NamedResolvers {
  const lack = conf === null ? 'cannot be read' : /^\s*nameserver\s/m.test(conf) ? null : 'names none';
  return { servers: parseResolvConf(conf ?? ''), place: '/etc/resolv.conf', lack, domains: 0 };
}

/** Of `scutil --dns`; null where it cannot be run. Pure. */
export function namedByScutil(text: string | null): NamedResolvers {
  const { usual, domains } = parseMacResolvers(text ?? '');
  const lack = text === null ? 'cannot be run' : usual.length === 0 ? 'names none for every name' : null;
  return { servers: usual, place: 'scutil --dns', lack, domains: domains.length };
}

const SYSTEM: ResolverWorld = {
  named() {
    if (process.platform === 'darwin') return namedByScutil(scutilAtOnce());
    try {
      return namedInConf(readFileSync('/etc/resolv.conf', 'utf8'));
    } catch {
      return namedInConf(null);
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
