/**
 * One event of the log and what a person wants of it → the rule to write, or why no rule says it. Decides nothing about
 * the file that the rule goes into. The host is a guest's text: it becomes a rule only where it parses. Pure.
 */
import type { AuditEvent } from '../../audit/event.ts';
import { NO_FLAGS, readRuleFlags } from '../../policies/edit/rule-flags.ts';
import type { RuleContent } from '../../policies/edit/rule-text.ts';
import { formatHost, parseHost } from '../../policies/hostname.ts';
import type { Host, Protocol, Rule } from '../../policies/model.ts';
import type { Reason } from '../../policies/reasons.ts';
import { isReservedName } from '../../policies/subject.ts';

export type UiAction = Rule['verb'];

export const UI_ACTIONS: readonly UiAction[] = ['allow', 'deny', 'mute'];

export type EventChange =
  | {
      readonly ok: true;
      readonly rules: readonly RuleContent[];
      /** What is to be known of them, a sentence each. */
      readonly notes: readonly string[];
    }
  | { readonly ok: false; readonly message: string; readonly hint: string };

interface Asked {
  readonly host: string;
  /** Null: only looked up. */
  readonly port: number | null;
  readonly protocol: Protocol | null;
  readonly request: { readonly method: string; readonly path: string } | null;
}

/** Reasons that one more rule turns; with the last two it turns what sand itself says, not what another rule does. */
const TURNED: ReadonlySet<Reason> = new Set<Reason>([
  'no-rule',
  'raw-address',
  'port-not-allowed',
  'protocol-not-allowed',
  'method-not-allowed',
  'path-not-allowed',
  'port-not-planted',
  'rule-expired',
  'would-be-denied',
  'deny-rule',
  'ceiling',
]);

/** Why a rule for the host alone would change nothing, and what would. */
const UNTURNED: Partial<Readonly<Record<Reason, string>>> = {
  'address-guarded':
    'It leads to an address that is dialled only where a rule lists it: write one with sand policy allow and --address.',
  'address-not-listed':
    'The rule that allows it lists other addresses: add this one to its `addresses` by hand.',
  'metadata-address':
    'A cloud metadata address is opened by hand alone, by its exact address and `metadata: true`.',
  'transport-refused': 'UDP other than DNS, ICMP and other transports go nowhere, whatever a rule says.',
  loop: 'Ports of sand itself are never reached from a guest, whatever a rule says.',
};

export function changeForEvent(event: AuditEvent, action: UiAction, nowMs: number): EventChange {
  const asked = askedOf(event);
  if (asked === null)
    return no('no policy decides on this event', 'Choose a lookup, a connection or an attempt.');
  const isBare = asked.host.includes(':') && !asked.host.startsWith('[');
  const host = parseHost(isBare ? `[${asked.host}]` : asked.host);
  // Fail closed: what does not parse as a host becomes no rule, whatever the log says of it.
  if (!host.ok) return no(`what was asked for is no host: ${host.reason}`, 'Write the rule that you mean.');
  if (host.value.kind === 'name' && isReservedName(host.value.name))
    return no(
      `${host.value.name} is a name of sand's own`,
      'Ports of the host are opened by hand: sand policy allow host.sand:PORT.',
    );
  if (action !== 'allow')
    return ruleOf(host.value, { ...asked, port: null, protocol: null, request: null }, action, nowMs);
  return turning(event) ?? ruleOf(host.value, asked, action, nowMs);
}

function askedOf(event: AuditEvent): Asked | null {
  switch (event.kind) {
    case 'dns':
      return { host: event.name, port: null, protocol: null, request: null };
    case 'connection': {
      const { host, port, protocol, method, path, reason } = event;
      const isNarrow = reason === 'method-not-allowed' || reason === 'path-not-allowed';
      const request = isNarrow && method !== undefined && path !== undefined ? { method, path } : null;
      return { host, port, protocol, request };
    }
    case 'unplanted':
      return { host: event.host, port: event.port, protocol: null, request: null };
    default:
      return null;
  }
}

/** Null where an allow rule has something to turn. */
function turning(event: AuditEvent): EventChange | null {
  if (event.kind !== 'dns' && event.kind !== 'connection' && event.kind !== 'unplanted') return null;
  if (event.kind === 'unplanted' && event.transport !== 'tcp')
    return no(`${event.transport} is carried for no guest`, UNTURNED['transport-refused'] ?? '');
  const { reason, verdict, rule } = event;
  if (TURNED.has(reason)) return null;
  const hint = UNTURNED[reason];
  if (hint !== undefined) return no('a rule that allows the host would not turn this', hint);
  if (verdict === 'allow') {
    const by = rule === null ? '' : ` by ${rule.file}:${rule.line}`;
    return no(`the policy allows it already${by}`, 'Look at its reason: what kept it was no rule.');
  }
  return no('no rule turns this', 'Its reason says what was wrong with the request.');
}

function ruleOf(host: Host, { port, protocol, request }: Asked, verb: UiAction, nowMs: number): EventChange {
  const subject = formatHost(host);
  const named = portFlag(port, request === null ? protocol : 'http');
  const read = readRuleFlags(
    {
      ...NO_FLAGS,
      verb,
      hosts: [subject],
      ports: { ...NO_FLAGS.ports, ...named },
      methods: request === null ? [] : [request.method],
      paths: request === null ? [] : [request.path],
    },
    nowMs,
  );
  if (!read.ok) {
    const [issue] = read.issues;
    return no(issue?.message ?? 'no rule says this', issue?.hint ?? 'Write the rule by hand.');
  }
  return { ok: true, rules: read.value, notes: (read.warnings ?? []).map(({ message }) => message) };
}

/** The web's own two ports need no word, unless something else is spoken there; as suggestions have it. */
function portFlag(
  port: number | null,
  protocol: Protocol | null,
): Partial<Record<Protocol, readonly string[]>> {
  const isDefault =
    port === null ||
    (port === 80 && protocol !== 'https' && protocol !== 'tcp') ||
    (port === 443 && protocol !== 'http' && protocol !== 'tcp');
  return isDefault ? {} : { [protocol ?? 'tcp']: [String(port)] };
}

function no(message: string, hint: string): EventChange {
  return { ok: false, message, hint };
}
