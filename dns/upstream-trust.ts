/**
 * Which certificates sand believes of an encrypted upstream, and what to say when it does not. Opening
 * connections is the transports'.
 */
import { isIP } from 'node:net';
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  getCACertificates,
  type SecureContext,
} from 'node:tls';
import type { HttpsUpstream, TlsUpstream } from './context.ts';
import { formatUpstream } from './upstream-flag.ts';

export type SecureUpstream = TlsUpstream | HttpsUpstream;

/**
 * Node's own authorities, those of NODE_EXTRA_CA_CERTS and the host's trust store. Reading them takes tens to
 * hundreds of milliseconds: this is called before a guest is served, never while one is.
 */
export function createTrust(authorities: readonly string[] = readAuthorities()): SecureContext {
  return createSecureContext({ ca: [...authorities] });
}

function readAuthorities(): readonly string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
}

/** What every connection to this server has in common, whatever the environment says of TLS. */
export function tlsOptions(server: SecureUpstream, trust: SecureContext): ConnectionOptions {
  const { serverName } = server;
  return {
    secureContext: trust,
    // RFC 6066 section 3: no address is sent as a server name.
    servername: isIP(serverName) === 0 ? serverName : '',
    // Fail closed: stated here, so that NODE_TLS_REJECT_UNAUTHORIZED cannot turn it off.
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
  };
}

const UNKNOWN_AUTHORITY =
  'its certificate is of an authority that this host does not trust; ' +
  'add that to the trust store of the host, or name its file in NODE_EXTRA_CA_CERTS';

const EXPLANATIONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired; check the clock of this host, or tell who runs the server',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; check the clock of this host',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
};

/** A sentence for the audit log. Nothing that a certificate says of itself is in it. */
export function explainTlsFailure(server: SecureUpstream, error: unknown): string {
  const code = error instanceof Error ? String(Reflect.get(error, 'code') ?? '') : '';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is not for ${server.serverName}; ${nameIt(server)}`;
  const known = EXPLANATIONS[code];
  if (known !== undefined) return known;
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') {
    return `no TLS with ${formatUpstream(server)} port ${server.port} (${code}); check that it speaks TLS there`;
  }
  return error instanceof Error ? error.message : 'unknown';
}

function nameIt(server: SecureUpstream): string {
  return server.protocol === 'tls'
    ? `write the name that it is for, tls://${server.address}#NAME`
    : 'write the name that it is for, https://NAME/dns-query#ADDRESS';
}
