/** `sand why HOST[:PORT] [METHOD PATH]`: the verdict of the policy in force here, the rule that decided, and what would turn it. */
import { homedir } from 'node:os';
import { escapeTerminal } from '../../audit/escape.ts';
import { evaluate } from '../../policies/evaluate.ts';
import { formatAuthority, parseAuthority } from '../../policies/hostname.ts';
import type { HttpRequest, RuleRef, Verdict } from '../../policies/model.ts';
import { inPhase } from '../../policies/phase.ts';
import { REASONS } from '../../policies/reasons.ts';
import { parseRequestPath } from '../../policies/request-path.ts';
import { usage } from '../run/options.ts';
import { choosePolicy } from '../run/policy-choice.ts';
import { workingFolder } from '../run/workspace.ts';

export interface WhyOptions {
  readonly authority: string;
  /** A plain-HTTP request to it; both or neither. */
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  readonly policy: readonly string[];
  readonly allow: readonly string[];
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** The web's own ports, for a host that is asked about without one. */
const HTTPS_PORT = 443;
const HTTP_PORT = 80;

/** 0 where it is allowed, 1 where it is not. */
export async function explainRequest(options: WhyOptions): Promise<number> {
  const http = readRequest(options);
  const authority = parseAuthority(options.authority, http === null ? HTTPS_PORT : HTTP_PORT);
  if (!authority.ok) {
    throw usage(
      `${options.authority}: ${authority.reason}`,
      'write for example sand why api.example.com:443',
    );
  }
  const { inForce: whole, layers } = await choosePolicy({
    policies: options.policy,
    allows: options.allow,
    cwd: workingFolder(),
    home: process.env.HOME ?? homedir(),
    environ: process.env,
    told: () => {},
  });
  // A guest begins in the first phase.
  const inForce = inPhase(whole, 0) ?? whole;
  const question = { authority: authority.value, protocol: http === null ? null : ('http' as const) };
  const verdict = evaluate(inForce, http === null ? question : { ...question, http });
  const named = formatAuthority(authority.value);
  const asked = http === null ? named : `${http.method} http://${named}${options.path}`;
  if (options.json) options.write(`${JSON.stringify(describeVerdict(asked, verdict, layers))}\n`);
  else options.write(formatVerdict(asked, verdict, layers));
  return verdict.decision === 'allow' ? 0 : 1;
}

/** Raises `usage` for half a request, and for what is no method or no path. */
function readRequest({ method, path }: WhyOptions): HttpRequest | null {
  if (method === undefined) return null;
  const hint = 'write for example sand why api.example.com GET /v1/users';
  if (path === undefined) throw usage(`${method}: a method needs a path`, hint);
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) throw usage(`${method}: no method`, hint);
  if (!path.startsWith('/') && path !== '*') throw usage(`${path}: a path begins with "/"`, hint);
  return { method, path: parseRequestPath(path) };
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
