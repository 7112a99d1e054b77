/** What to write in a policy to turn a denial, as one line: a rule to paste, or the pattern that was meant. */
import { scalarText } from './edit/rule-text.ts';
import type { Host, HttpRequest, Protocol } from './model.ts';
import type { Reason } from './reasons.ts';
import { nearPattern, type RuleIndex } from './rule-index.ts';
import { isReservedName } from './subject.ts';

interface Refused {
  readonly host: Host;
  readonly port: number | null;
  readonly protocol: Protocol | null;
  readonly http?: HttpRequest | undefined;
}

/** Reasons that one more rule would turn. */
const TURNED_BY_A_RULE: readonly Reason[] = [
  'no-rule',
  'raw-address',
  'port-not-allowed',
  'protocol-not-allowed',
  'method-not-allowed',
  'path-not-allowed',
];

/** Null where no rule should be suggested: deny rules, expiry, metadata, sand's own names. */
export function suggestRule(
  index: RuleIndex,
  { host, port, protocol, http }: Refused,
  reason: Reason,
): string | null {
  if (!TURNED_BY_A_RULE.includes(reason)) return null;
  if (reason === 'method-not-allowed' || reason === 'path-not-allowed') {
    const subject = host.kind === 'address' ? host.address : host.name;
    return http === undefined ? null : requestLine(subject, port ?? 80, http);
  }
  if (host.kind === 'address') return ruleLine(host.address, port, protocol);
  if (isReservedName(host.name)) return null;
  const near = reason === 'no-rule' ? nearPattern(index.allow, host.name) : null;
  return near === null ? ruleLine(host.name, port, protocol) : `did you mean "${near}"?`;
}

/** Longer paths are not worth a rule of their own, and a log line is not long enough for them. */
const LONGEST_PATH = 120;

/** Null where method or path could not stand in a rule as they are. */
function requestLine(subject: string, port: number, { method, path }: HttpRequest): string | null {
  const text = path.ok ? `/${path.segments.join('/')}` : '';
  const isPlain = /^\/[A-Za-z0-9._~@:+,=/-]*$/.test(text) && text.length <= LONGEST_PATH;
  if (!isPlain || !/^[A-Z][A-Z0-9-]{0,31}$/.test(method)) return null;
  return `- {allow: ${scalarText(subject, 'yaml')}, http: [${port}], methods: [${method}], paths: ["${text}"]}`;
}

/** The web's default pair needs no port key; with one, the rule is written as a flow map so that it is one line. */
function ruleLine(subject: string, port: number | null, protocol: Protocol | null): string {
  const text = scalarText(subject, 'yaml');
  const isDefault =
    port === null ||
    (port === 80 && protocol !== 'https' && protocol !== 'tcp') ||
    (port === 443 && protocol !== 'http' && protocol !== 'tcp');
  if (isDefault) return `- allow: ${text}`;
  return `- {allow: ${text}, ${protocol ?? 'tcp'}: [${port}]}`;
}
