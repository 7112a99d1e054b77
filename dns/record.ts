/** What the audit log holds of a DNS decision: question, outcome and origin in, one entry out. Pure. */
import type { DnsDecision, RuleFact } from '../audit/event.ts';
import type { RuleRef } from '../policies/model.ts';
import type { QueryOrigin } from './context.ts';
import { CLASS_IN, formatType, type Question } from './message.ts';
import type { Outcome } from './plan.ts';
import type { QueryFault } from './wire.ts';

const DETAIL_CHARACTERS = 300;

/** `policy` is the digest of the policy that decided. */
export function describeDecision(
  question: Question,
  origin: QueryOrigin,
  outcome: Outcome,
  policy: string,
): DnsDecision {
  const addresses = outcome.answer.records.map((record) => record.data);
  const type = formatType(question.type);
  return {
    kind: 'dns',
    asker: origin.asker,
    transport: origin.transport,
    name: question.name.toLowerCase(),
    type: question.class === CLASS_IN ? type : `CLASS${question.class} ${type}`,
    rcode: outcome.answer.rcode,
    verdict: outcome.verdict,
    reason: outcome.reason,
    disposition: outcome.disposition,
    rule: outcome.rule === null ? null : describeRule(outcome.rule),
    policy,
    ...(addresses.length > 0 ? { answer: addresses } : {}),
    ...(outcome.muted ? { muted: true } : {}),
    ...(outcome.detail === null ? {} : { detail: escapeText(outcome.detail) }),
    ...(outcome.suggestion === null ? {} : { suggestion: outcome.suggestion }),
  };
}

export function describeFault(fault: QueryFault, origin: QueryOrigin, policy: string): DnsDecision {
  return {
    kind: 'dns',
    asker: origin.asker,
    transport: origin.transport,
    name: fault.name,
    type: fault.type === null ? '' : formatType(fault.type),
    rcode: fault.rcode,
    verdict: 'deny',
    reason: fault.rcode === 'NOTIMP' ? 'dns-opcode-refused' : 'dns-malformed',
    disposition: 'refused',
    rule: null,
    policy,
    detail: fault.detail,
  };
}

/** Who asked, where the place that the question came from can tell. */
export function openerOf({ process }: QueryOrigin): Pick<DnsDecision, 'process'> {
  const found = process?.() ?? null;
  return found === null ? {} : { process: found };
}

function describeRule(rule: RuleRef): RuleFact {
  const { id, origin, because } = rule;
  return { id, file: origin.file, line: origin.line, ...(because === null ? {} : { because }) };
}

function escapeText(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, DETAIL_CHARACTERS);
}
