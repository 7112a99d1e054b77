/** `--allow HOST[:PORT]` → one rule. What the host part means is decided by `subject.ts`, as in a file. */
import { type DraftRule, holdRange, judgeWildcard } from './decode-rule.ts';
import { parsePort } from './hostname.ts';
import { type IssueList, NOWHERE } from './issue.ts';
import type { PortRange, Protocol } from './model.ts';
import { DEFAULT_PORTS, NO_PORTS } from './port-range.ts';
import { parseSubject } from './subject.ts';

/** What an allow rule is that names nothing but its subjects. */
export const PLAIN_GRANT: Omit<DraftRule, 'subjects'> = {
  verb: 'allow',
  ports: DEFAULT_PORTS,
  addresses: null,
  metadata: false,
  because: null,
  at: NOWHERE,
};

/** The same of a mute rule. */
export const PLAIN_MUTE: Omit<DraftRule, 'subjects'> = { ...PLAIN_GRANT, verb: 'mute', ports: NO_PORTS };

/** The rule of one `--allow HOST[:PORT]`; null after reporting. */
export function parseAllowFlag(text: string, issues: IssueList): DraftRule | null {
  const { host, port } = splitPort(text);
  const subject = parseSubject(host);
  if (!subject.ok) {
    issues.error(NOWHERE, subject.message, subject.hint);
    return null;
  }
  judgeWildcard({ value: subject.value, at: NOWHERE }, issues);
  if (subject.value.kind === 'range') holdRange(subject.value.range, NOWHERE, false, issues);
  if (subject.value.kind === 'host-loopback' && port === null) {
    issues.error(NOWHERE, 'host.sand is opened port by port', `Write --allow host.sand:5432.`);
  }
  return issues.failed ? null : { ...PLAIN_GRANT, subjects: [subject.value], ports: portsFor(port) };
}

/** `HOST:PORT` in its parts; an IPv6 literal needs brackets to have a port. */
export function splitPort(text: string): { readonly host: string; readonly port: number | null } {
  const colon = text.lastIndexOf(':');
  const bare = colon === -1 || (text.indexOf(':') !== colon && !text.startsWith('['));
  const port = bare || text.endsWith(']') ? null : parsePort(text.slice(colon + 1));
  return port === null ? { host: text, port } : { host: text.slice(0, colon), port };
}

/** What a port alone means: the web on its own two ports, else bytes that sand does not read. */
export function portsFor(port: number | null): Readonly<Record<Protocol, readonly PortRange[]>> {
  if (port === null) return DEFAULT_PORTS;
  const range = [{ from: port, to: port }];
  if (port === 80) return { ...NO_PORTS, http: range };
  return port === 443 ? { ...NO_PORTS, https: range } : { ...NO_PORTS, tcp: range };
}
