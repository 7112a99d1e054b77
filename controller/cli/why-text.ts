/** An explanation as text for a person and as JSON for a program. Pure. */
import { escapeTerminal } from '../../audit/escape.ts';
import { formatRulePlace } from '../../audit/table.ts';
import { pasteLine } from '../../policies/edit/rule-text.ts';
import { type ConsideredRule, EFFECTS } from '../../policies/explain/considered.ts';
import type { Explanation } from '../../policies/explain/explain.ts';
import { describeTurning } from '../../policies/explain/turning-text.ts';
import type { PolicyPhase, RuleRef } from '../../policies/model.ts';
import { REASONS, type Reason } from '../../policies/reasons.ts';
import type { FoundEvent } from './why-event.ts';

export interface Answer {
  /** `api.example:443`, `GET http://api.example:80/v1`. */
  readonly asked: string;
  /** Null for an event whose name is no name. */
  readonly explanation: Explanation | null;
  readonly layers: readonly string[];
  readonly digest: string;
  /** What commands write to; null: what they find by themselves. */
  readonly file: string | null;
  readonly phase: PolicyPhase | null;
  readonly event: {
    readonly found: FoundEvent;
    readonly run: string;
    /** Whether the policy in force here is the one that decided. */
    readonly policyIsSame: boolean;
  } | null;
}

/** Where no line of the policy turns it. */
const ADVICE: Partial<Record<Reason, string>> = {
  ceiling: 'a ceiling must allow it as well, and the owner of this machine writes that',
  'metadata-address':
    'only its exact address with `metadata: true` opens it; who reaches it gets credentials of the machine',
  'address-guarded': 'a rule with `addresses` opens it; name the address with --address to see it',
  'address-not-listed': 'a rule with `addresses` opens it; name the address with --address to see it',
};
const NO_ADVICE = 'no line of the policy turns it';

export function formatAnswer(answer: Answer): string {
  const { asked, explanation, layers, event } = answer;
  const lines = [
    ...(event === null ? [] : formatEvent(event)),
    ...(explanation === null
      ? [`${asked}: no name that a policy could speak of`]
      : formatVerdict(asked, explanation)),
    `policy: ${layers.join(' + ')}`,
    ...(explanation === null
      ? []
      : [...formatConsidered(explanation), ...formatTurning(explanation, answer)]),
  ];
  return lines.map((line) => `${escapeTerminal(line)}\n`).join('');
}

function formatVerdict(
  asked: string,
  { decision, reason, rule, protocols, addresses }: Explanation,
): readonly string[] {
  return [
    `${asked}: ${decision} (${reason}: ${REASONS[reason]})`,
    ...(rule === null ? [] : [`rule: ${formatRule(rule)}`]),
    ...(protocols.length === 0 ? [] : [`as: ${protocols.join(', ')}`]),
    ...addresses.map((one) => `address: ${one.address}, ${one.decision} (${one.reason})`),
  ];
}

function formatRule({ id, origin, because }: RuleRef): string {
  const place = origin.line === 0 ? origin.file : `${origin.file}:${origin.line}`;
  return `${id} (${place})${because === null ? '' : `, because: ${because}`}`;
}

function formatConsidered({ considered, ceilings, left }: Explanation): readonly string[] {
  const lines = [
    ...considered.map((one) => `  ${formatOne(one)}`),
    ...ceilings.flatMap((rules) =>
      rules.length === 0
        ? ['  ceiling: no rule of it covers this host']
        : rules.map((one) => `  ceiling: ${formatOne(one)}`),
    ),
    ...(left > 0 ? [`  and ${left} more`] : []),
  ];
  return lines.length === 0 ? ['considered: no rule covers this host'] : ['considered:', ...lines];
}

function formatOne({ rule, effect }: ConsideredRule): string {
  const place = rule.origin.line === 0 ? rule.origin.file : `${rule.origin.file}:${rule.origin.line}`;
  const text = pasteLine(rule);
  const shown = text.length > LONGEST_RULE ? `${text.slice(0, LONGEST_RULE)}...` : text;
  return `${shown} (${place}): ${EFFECTS[effect]}`;
}

/** A rule of a group lists dozens of hosts. */
const LONGEST_RULE = 80;

function formatTurning(explanation: Explanation, { file, phase }: Answer): readonly string[] {
  const { turning, suggestion, decision, reason } = explanation;
  const meant = suggestion === null || suggestion.startsWith('- ') ? [] : [suggestion];
  if (turning === null) {
    const isHeld = explanation.ceilings.some((rules) => rules.every(({ effect }) => effect !== 'allows'));
    const advice = isHeld ? ADVICE.ceiling : ADVICE[reason];
    return decision === 'deny' ? [...meant, `to turn it: ${advice ?? NO_ADVICE}`] : meant;
  }
  const where = phase === null ? '' : `, in phase ${phase.name}`;
  const { remove, add, commands } = describeTurning(turning, { file, phase });
  return [
    ...meant,
    ...remove.map((line) => `to turn it, take out ${line}`),
    ...(add === null ? [] : [`${remove.length === 0 ? 'to turn it' : 'and write'}${where}: ${add}`]),
    ...commands.map((command, at) => `  ${at === 0 ? 'or' : 'and'}: ${command}`),
  ];
}

function formatEvent({ found, run, policyIsSame }: NonNullable<Answer['event']>): readonly string[] {
  const { decided, close } = found;
  const rule = decided.rule === null ? '' : `, ${decided.rule.id} (${formatRulePlace(decided.rule)})`;
  return [
    `${run}#${decided.seq} ${decided.time} ${decided.kind}: ${decided.verdict}, ${decided.disposition} (${decided.reason}${rule})`,
    ...(decided.detail === undefined ? [] : [`detail: ${decided.detail}`]),
    ...factsOf(found).map(([name, value]) => `${name}: ${value}`),
    ...(close?.reason === undefined
      ? []
      : [`ended: ${close.reason}${close.detail === undefined ? '' : `, ${close.detail}`}`]),
    policyIsSame
      ? 'the policy has not changed since'
      : `the policy has changed since (${decided.policy} decided); what follows is the policy of the line "policy"`,
  ];
}

function factsOf({ decided, close }: FoundEvent): readonly (readonly [string, string])[] {
  if (decided.kind === 'dns') {
    return decided.answer === undefined ? [] : [['answered', decided.answer.join(', ')]];
  }
  if (decided.kind === 'unplanted') return [['count', String(decided.count)]];
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['resolved', decided.address],
    ['dialled', close?.address],
    ['destination', decided.destination],
    ['server name', decided.sni],
  ];
  return facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

export function describeAnswer({ asked, explanation, layers, digest, file, phase, event }: Answer) {
  const shared = { asked, layers, policy: digest };
  const about = event === null ? {} : { event: describeEvent(event) };
  if (explanation === null) return { ...shared, ...about };
  const {
    decision,
    reason,
    rule,
    protocols,
    muted,
    suggestion,
    considered,
    ceilings,
    left,
    addresses,
    turning,
  } = explanation;
  return {
    ...shared,
    ...about,
    decision,
    reason,
    means: REASONS[reason],
    rule,
    protocols,
    muted,
    suggestion,
    addresses,
    considered: [
      ...considered.map((one) => describeOne(one, 'policy')),
      ...ceilings.flatMap((rules) => rules.map((one) => describeOne(one, 'ceiling'))),
    ],
    left,
    turning: turning === null ? null : describeTurning(turning, { file, phase }),
  };
}

function describeOne({ rule, effect }: ConsideredRule, of: 'policy' | 'ceiling') {
  return { of, id: rule.id, at: rule.origin, rule: pasteLine(rule), effect, means: EFFECTS[effect] };
}

function describeEvent({ found: { decided, close }, run, policyIsSame }: NonNullable<Answer['event']>) {
  const { seq, time, kind, verdict, reason, disposition, rule, policy, detail } = decided;
  return {
    run,
    seq,
    time,
    kind,
    verdict,
    reason,
    disposition,
    rule,
    policy,
    policyIsSame,
    ...(detail === undefined ? {} : { detail }),
    resolved: decided.kind === 'connection' ? (decided.address ?? null) : null,
    dialled: close?.address ?? null,
  };
}
