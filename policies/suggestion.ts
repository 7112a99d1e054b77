/** What to write in a policy to turn a denial, as one line: a rule to paste, or the pattern that was meant. */
import type { Host, Protocol } from './model.ts';
import type { Reason } from './reasons.ts';
import { nearPattern, type RuleIndex } from './rule-index.ts';
import { isReservedName } from './subject.ts';

interface Refused {
  readonly host: Host;
  readonly port: number | null;
  readonly protocol: Protocol | null;
}

/** Reasons that one more rule would turn. */
const TURNED_BY_A_RULE: readonly Reason[] = [
  'no-rule',
  'raw-address',
  'port-not-allowed',
  'protocol-not-allowed',
];

/** Null where no rule should be suggested: deny rules, expiry, metadata, sand's own names. */
export function suggestRule(
  index: RuleIndex,
  { host, port, protocol }: Refused,
  reason: Reason,
): string | null {
  if (!TURNED_BY_A_RULE.includes(reason)) return null;
  if (host.kind === 'address') return ruleLine(host.address, port, protocol);
  if (isReservedName(host.name)) return null;
  const near = reason === 'no-rule' ? nearPattern(index.allow, host.name) : null;
  return near === null ? ruleLine(host.name, port, protocol) : `did you mean "${near}"?`;
}

/** The web's default pair needs no port key; with one, the rule is written as a flow map so that it is one line. */
function ruleLine(subject: string, port: number | null, protocol: Protocol | null): string {
  // An IPv6 literal holds colons, which a flow map would read as its own.
  const text = subject.includes(':') ? `"${subject}"` : subject;
  const isDefault =
    port === null ||
    (port === 80 && protocol !== 'https' && protocol !== 'tcp') ||
    (port === 443 && protocol !== 'http' && protocol !== 'tcp');
  if (isDefault) return `- allow: ${text}`;
  return `- {allow: ${text}, ${protocol ?? 'tcp'}: [${port}]}`;
}
