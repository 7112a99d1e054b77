/**
 * The closed list of reasons that a verdict or a refusal can carry. Every audit event, 403 and DNS error
 * names one of them; docs/reasons.md explains each, and a test holds the two together.
 */

export const REASONS = {
  'allowed-by-rule': 'an allow rule covers it and nothing denies it',
  'would-be-denied': 'it would be denied; it passed because the policy, or the deny rule, only reports',
  'no-rule': 'no rule allows this host',
  'deny-rule': 'a deny rule covers it, and deny beats allow',
  'port-not-allowed': 'the host is allowed, this port is not',
  'protocol-not-allowed': 'the host and port are allowed, but not for this protocol',
  'method-not-allowed': 'the host is allowed, this method is not',
  'path-not-allowed': 'the host is allowed, this path is not',
  'rule-expired': 'the only rule that allowed it has passed its `until`',
  ceiling: 'the ceiling of the machine\u2019s owner does not allow it',
  'raw-address': 'an IP address was used directly and no address rule lists it',
  'address-guarded': 'the name resolves to an address that is never dialled unless a rule lists it',
  'address-not-listed': 'the name resolves to an address outside the rule\u2019s `addresses`',
  'metadata-address': 'a cloud metadata address; only its exact address with `metadata: true` allows it',
  'address-unknown': 'a synthetic address that no answer of this guest gave',
  'port-not-planted': 'nothing of the policy can allow this port, so nothing listens there',
  'transport-refused': 'UDP other than DNS, ICMP and other transports go nowhere',
  'request-malformed': 'the request is ambiguous or malformed; it is refused, never repaired',
  'method-refused': 'the method or upgrade is never relayed (TRACE, h2c, CONNECT with a body)',
  'tls-expected': 'the port was judged as https and the bytes are not TLS',
  'tls-malformed': 'the TLS ClientHello cannot be read whole',
  'sni-missing': 'TLS without a server name where a name was judged',
  'sni-mismatch': 'the TLS server name is not the name that was judged',
  'host-mismatch': 'the Host header is not the authority that was judged',
  loop: 'it leads back to sand itself',
  'dns-malformed': 'the DNS message is malformed',
  'dns-opcode-refused': 'a DNS opcode other than QUERY',
  'dns-type-withheld': 'the name is allowed; this record type leaks or upgrades and is answered empty',
  'reserved-name':
    'a name that sand answers by itself (localhost, reverse names, *.sand); nothing leaves the host',
  'dns-not-found':
    'the name is allowed; the host\u2019s resolvers say that it does not exist or has no address',
  'dns-failed': 'the name is allowed; the host\u2019s resolvers did not answer',
  'synthetic-exhausted': 'this guest has used all synthetic addresses',
  'upstream-refused': 'the origin refused or reset the connection',
  'upstream-timeout': 'the origin did not answer in time',
  'upstream-failed': 'the origin or the way to it failed',
  'guest-port-closed': 'no server in the guest answers on the published port',
  'limit-connections': 'the guest has as many connections open as its policy admits',
  'limit-requests': 'the guest asks more often than its policy admits',
  'limit-bytes': 'the guest has moved as many bytes as its policy admits',
  'limit-time': 'an idle or total time limit was reached',
  'limit-size': 'a request head or a message is larger than its limit',
  'limit-body': 'the request body is larger than its policy admits',
  'limit-names': 'too many distinct names were asked under one wildcard',
  'audit-unavailable': 'the audit log cannot be written, so nothing is allowed',
  'policy-changed': 'the policy in force no longer allows it',
  'shutting-down': 'the guest is being stopped',
  'internal-error': 'a fault in sand; refused because nothing else is safe',
} as const;

export type Reason = keyof typeof REASONS;
