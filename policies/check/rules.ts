/** What is unwise in a single rule, whatever other rules say: its wildcards, ranges, protocols and time. */
import { rangeBits } from '../address.ts';
import type { IpRange, Rule } from '../model.ts';
import { literalTail } from '../pattern.ts';
import { isRegistrable } from '../public-suffix.ts';
import { advise, type PolicyFinding, warn } from './finding.ts';
import { CHECK_LIMITS } from './limits.ts';

export function adviseOnRule(rule: Rule, nowMs: number): readonly PolicyFinding[] {
  if (rule.verb === 'mute') return [];
  if (rule.verb === 'deny') return rule.report === true ? [reportRule(rule)] : [];
  return [
    ...broadWildcards(rule),
    ...broadRanges(rule),
    ...wideTcp(rule),
    ...(rule.metadata ? [metadata(rule)] : []),
    ...expiry(rule, nowMs),
  ];
}

function reportRule(rule: Rule): PolicyFinding {
  return warn(
    'report-rule',
    rule.origin,
    'this deny rule refuses nothing, and only records what it would deny',
    'Remove report: true once the record shows nothing that is needed.',
  );
}

function broadWildcards(rule: Rule): readonly PolicyFinding[] {
  return rule.subjects.flatMap((subject) => {
    if (subject.kind !== 'names') return [];
    const { labels, text } = subject.pattern;
    const tail = literalTail(subject.pattern);
    const isBroad = labels[0] === '**' && (isRegistrable(tail) || !tail.includes('.'));
    if (!isBroad) return [];
    return [
      advise(
        'broad-wildcard',
        rule,
        `"${text}" covers every name of ${tail}, at any depth`,
        'Name the hosts that are needed, or say with because: why all are.',
      ),
    ];
  });
}

function isShorter(range: IpRange, shortest: { readonly 4: number; readonly 6: number }): boolean {
  const { family, length } = rangeBits(range);
  return length < shortest[family];
}

function broadRanges(rule: Rule): readonly PolicyFinding[] {
  const opened = rule.subjects.flatMap((subject) =>
    subject.kind === 'range' && isShorter(subject.range, CHECK_LIMITS.shortestPrefix) ? [subject.range] : [],
  );
  const listed = (rule.addresses ?? []).filter((range) => isShorter(range, CHECK_LIMITS.shortestAddresses));
  return [...opened, ...listed].map((range) =>
    advise(
      'broad-range',
      rule,
      `${range} opens very many addresses, private ones among them where it holds such`,
      'Name the smaller ranges that are meant, or say with because: why all are.',
    ),
  );
}

function wideTcp(rule: Rule): readonly PolicyFinding[] {
  if (rule.ports.tcp.length === 0 || rule.addresses !== null) return [];
  return rule.subjects.flatMap((subject) => {
    if (subject.kind !== 'names' || !subject.pattern.text.includes('*')) return [];
    return [
      advise(
        'wide-tcp',
        rule,
        `any host of "${subject.pattern.text}" may be sent bytes that sand does not read`,
        'Name the hosts, or list with addresses: where they may be.',
      ),
    ];
  });
}

function metadata(rule: Rule): PolicyFinding {
  return advise(
    'cloud-metadata',
    rule,
    'whatever runs in the guest gets the credentials of this cloud instance',
    'Give the guest credentials of its own, or say with because: why it needs these.',
  );
}

function expiry(rule: Rule, nowMs: number): readonly PolicyFinding[] {
  if (rule.untilMs === undefined) return [];
  const end = new Date(rule.untilMs).toISOString().replace('.000Z', 'Z');
  if (rule.untilMs <= nowMs) {
    return [warn('expired-rule', rule.origin, `this rule has granted nothing since ${end}`, 'Remove it.')];
  }
  if (rule.untilMs - nowMs > CHECK_LIMITS.expiryNoticeMs) return [];
  return [
    warn('expiring-rule', rule.origin, `this rule ends on ${end}`, 'Remove it, or give it a later until.'),
  ];
}
