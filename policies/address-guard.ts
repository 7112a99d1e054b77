/**
 * The guard on addresses: which grants open which address. Ordinary addresses are open to every name grant
 * without `addresses`; what is never dialled otherwise is opened by being listed.
 */
import {
  classifyAddress,
  embeddedAddresses,
  isMetadataAddress,
  rangeContains,
  soleAddress,
} from './address.ts';
import type { AddressVerdict, IpAddress, Rule } from './model.ts';
import { firstById, refer } from './rule-ref.ts';

/** What no rule allows reaches ordinary addresses only. */
export function judgeReported(address: IpAddress, hostAddresses: readonly IpAddress[]): AddressVerdict {
  const kind = classifyAddress(address, hostAddresses);
  if (kind === 'ordinary') return { decision: 'allow', reason: 'would-be-denied', rule: null };
  return {
    decision: 'deny',
    reason: kind === 'metadata' ? 'metadata-address' : 'address-guarded',
    rule: null,
  };
}

/** The guard: ordinary addresses are open to every grant without `addresses`; all others by being listed. */
export function judgeAddress(
  grants: readonly Rule[],
  address: IpAddress,
  hostAddresses: readonly IpAddress[],
): AddressVerdict {
  const kind = classifyAddress(address, hostAddresses);
  const opens = (rule: Rule): boolean => {
    const [subject] = rule.subjects;
    if (subject?.kind === 'host-loopback') return address === '127.0.0.1' || address === '::1';
    if (kind === 'metadata') return namesMetadata(rule, address);
    if (subject?.kind === 'range') return listsAddress(rule, address);
    if (rule.addresses === null) return kind === 'ordinary';
    return rule.addresses.some((range) => rangeContains(range, address));
  };
  const opening = firstById(grants.filter(opens));
  if (opening !== null) return { decision: 'allow', reason: 'allowed-by-rule', rule: refer(opening) };
  const closest = refer(firstById(grants));
  if (kind === 'metadata') return { decision: 'deny', reason: 'metadata-address', rule: closest };
  const restricted = grants.every((rule) => rule.addresses !== null);
  const reason = restricted || kind === 'ordinary' ? 'address-not-listed' : 'address-guarded';
  return { decision: 'deny', reason, rule: closest };
}

function listsAddress(rule: Rule, address: IpAddress): boolean {
  return rule.subjects.some((subject) => subject.kind === 'range' && rangeContains(subject.range, address));
}

export function isMetadataForm(address: IpAddress): boolean {
  return [address, ...embeddedAddresses(address)].some(isMetadataAddress);
}

export function namesMetadata(rule: Rule, address: IpAddress): boolean {
  return (
    rule.metadata &&
    rule.subjects.some((subject) => subject.kind === 'range' && soleAddress(subject.range) === address)
  );
}
