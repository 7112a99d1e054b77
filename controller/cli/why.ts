/** `sand why HOST[:PORT]`: the verdict of the policy in force here, the rule that decided, and what would turn it. */
import { homedir } from 'node:os';
import { escapeTerminal } from '../../audit/escape.ts';
import { evaluate } from '../../policies/evaluate.ts';
import { formatAuthority, parseAuthority } from '../../policies/hostname.ts';
import type { RuleRef, Verdict } from '../../policies/model.ts';
import { REASONS } from '../../policies/reasons.ts';
import { usage } from '../run/options.ts';
import { choosePolicy } from '../run/policy-choice.ts';
import { workingFolder } from '../run/workspace.ts';

export interface WhyOptions {
  readonly authority: string;
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** The web's own port, for a host that is asked about without one. */
const DEFAULT_PORT = 443;

/** 0 where it is allowed, 1 where it is not. */
export async function explainRequest(options: WhyOptions): Promise<number> {
  const authority = parseAuthority(options.authority, DEFAULT_PORT);
  if (!authority.ok) {
    throw usage(
      `${options.authority}: ${authority.reason}`,
      'write for example sand why api.example.com:443',
    );
  }
  const { inForce, layers } = await choosePolicy({
    policies: options.policy,
    allows: options.allow,
    cwd: workingFolder(),
    home: process.env.HOME ?? homedir(),
    environ: process.env,
    told: () => {},
  });
  const verdict = evaluate(inForce, { authority: authority.value, protocol: null });
  const asked = formatAuthority(authority.value);
  if (options.json) options.write(`${JSON.stringify(describeVerdict(asked, verdict, layers))}\n`);
  else options.write(formatVerdict(asked, verdict, layers));
  return verdict.decision === 'allow' ? 0 : 1;
}

function describeVerdict(asked: string, verdict: Verdict, layers: readonly string[]) {
  const { decision, reason, rule, protocols, suggestion } = verdict;
  return { asked, decision, reason, rule, protocols, suggestion, layers };
}

function formatVerdict(asked: string, verdict: Verdict, layers: readonly string[]): string {
  const lines = [
    `${asked}: ${verdict.decision} (${verdict.reason}: ${REASONS[verdict.reason]})`,
    ...(verdict.rule === null ? [] : [`rule: ${formatRule(verdict.rule)}`]),
    ...(verdict.protocols.length === 0 ? [] : [`as: ${verdict.protocols.join(', ')}`]),
    `policy: ${layers.join(' + ')}`,
    ...(verdict.suggestion === null ? [] : [`to turn it: ${verdict.suggestion}`]),
  ];
  return lines.map((line) => `${escapeTerminal(line)}\n`).join('');
}

function formatRule({ id, origin, because }: RuleRef): string {
  const place = origin.line === 0 ? origin.file : `${origin.file}:${origin.line}`;
  return `${id} (${place})${because === null ? '' : `, because: ${because}`}`;
}
