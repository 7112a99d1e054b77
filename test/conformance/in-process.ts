/** The proxy's judgement of one authority, and what it puts on record, without a socket. */
import type { AuditEntry, ConnectionDecision } from '../../audit/event.ts';
import type { Authority, HttpRequest, IpAddress, PolicyInForce, Protocol } from '../../policies/model.ts';
import { admit } from '../../proxy/admission.ts';
import type { ProxyContext } from '../../proxy/context.ts';
import { askedOf } from '../../proxy/flight.ts';
import { judge } from '../../proxy/judgement.ts';
import { Ledger } from '../../proxy/ledger.ts';
import { PROXY_LIMITS } from '../../proxy/limits.ts';

export interface Question {
  readonly inForce: PolicyInForce;
  readonly authority: Authority;
  readonly protocol: Protocol | null;
  readonly http?: HttpRequest;
  /** What the name resolves to. A literal is its own address. */
  readonly addresses: readonly IpAddress[];
  readonly hostAddresses: readonly IpAddress[];
}

export function recordOf(question: Question): ConnectionDecision {
  const { inForce, authority, protocol, http, hostAddresses } = question;
  const events: AuditEntry[] = [];
  const context: ProxyContext = {
    policy: () => inForce,
    lookup: async () => ({ kind: 'addresses', addresses: question.addresses }),
    meaning: () => ({ kind: 'literal' }),
    hostAddresses: () => hostAddresses,
    isOwn: () => false,
    audit: { record: (entry) => events.push(entry) },
    limits: PROXY_LIMITS,
  };
  const ledger = new Ledger(context.audit, context.policy, context.limits);
  const describe = (named: Authority) => askedOf(named, { via: 'connect', protocol });
  const judged = judge(context, authority, protocol, http);
  if (judged.ok) {
    const { host } = authority;
    const addresses = host.kind === 'address' ? [host.address] : question.addresses;
    const spoken = protocol ?? judged.verdict.protocols[0];
    if (spoken === undefined) throw new Error('allowed, and nothing may be spoken');
    admit(
      { context, ledger },
      { asked: authority, protocol: spoken, ...(http === undefined ? {} : { http }) },
      addresses,
      describe,
    );
  } else {
    ledger.refuse(describe(judged.authority), judged.denial);
  }
  const [record] = events;
  if (record?.kind !== 'connection' || events.length !== 1) throw new Error('not exactly one record');
  return record;
}
