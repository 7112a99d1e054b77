/**
 * What a person may be asked about a request, and what their yes adds to the policy: a rule for exactly what was
 * asked. Decides which refusals may be asked about at all; who is asked, and what they say, is the controller's.
 */
import { judgeReported } from './address-guard.ts';
import { extendPolicy } from './compile.ts';
import { evaluate, evaluateName } from './evaluate.ts';
import type {
  Host,
  HttpRequest,
  IpAddress,
  PolicyInForce,
  PortRange,
  Protocol,
  Rule,
  Verdict,
} from './model.ts';
import { DEFAULT_PORTS, NO_PORTS } from './port-range.ts';
import type { Reason } from './reasons.ts';
import { isReservedName, parseSubject } from './subject.ts';

/** A request that is held, or with `port` null a name that is looked up. */
export interface HeldRequest {
  readonly host: Host;
  readonly port: number | null;
  readonly protocol: Protocol | null;
  readonly http?: HttpRequest;
}

/** A yes. It grants nothing by itself: every verdict is asked for anew, under a policy with this rule. */
export interface Consent {
  readonly rule: Rule;
  /** The policy with the rule; the digest stays, since the rule names itself. Deny rules and ceilings hold as before. */
  over(inForce: PolicyInForce): PolicyInForce;
}

export type Asked =
  | { readonly kind: 'consent'; readonly consent: Consent }
  /** Somebody said no, or nobody said anything. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** Not to be asked: a rule, the guard or a ceiling has decided, or nobody can be asked. */
  | { readonly kind: 'unasked' };

/** Never rejects. Aborting the signal ends the wait. */
export type AskForConsent = (request: HeldRequest, signal: AbortSignal) => Promise<Asked>;

/** No rule has decided these. Expiry, methods and paths are what a rule says of itself; the rest is no matter of consent. */
const ASKABLE: readonly Reason[] = ['no-rule', 'port-not-allowed', 'raw-address'];

export const CONSENT_FILE = '--ask';

/**
 * The rule that a yes to this request would add; null where nobody is to be asked, because the policy decides it, or
 * because a yes would turn nothing.
 */
export function consentFor(
  inForce: PolicyInForce,
  request: HeldRequest,
  hostAddresses: readonly IpAddress[],
): Consent | null {
  const { host } = request;
  const verdict = judge(inForce, request);
  if (verdict.decision === 'allow' || verdict.muted || !ASKABLE.includes(verdict.reason)) return null;
  if (host.kind === 'name' && isReservedName(host.name)) return null;
  // Fail closed: to list an address opens it, so what the guard refuses is never asked about.
  if (host.kind === 'address' && judgeReported(host.address, hostAddresses).decision === 'deny') return null;
  const rule = ruleFor(request);
  if (rule === null) return null;
  const consent = createConsent(rule);
  // Fail closed: where a ceiling would refuse it all the same, a yes would promise what nobody can give.
  return judge(consent.over(inForce), request).decision === 'allow' ? consent : null;
}

export function createConsent(rule: Rule): Consent {
  let before: PolicyInForce | null = null;
  let after: PolicyInForce | null = null;
  return {
    rule,
    over(inForce) {
      if (before !== inForce || after === null) {
        before = inForce;
        after = withRules(inForce, [rule]);
        after = { ...after, policy: { ...after.policy, digest: inForce.policy.digest } };
      }
      return after;
    },
  };
}

/** The policy with rules that people have consented to, under a digest of its own. */
export function withRules({ policy, ceilings }: PolicyInForce, rules: readonly Rule[]): PolicyInForce {
  return { policy: extendPolicy(policy, rules), ceilings };
}

function judge(inForce: PolicyInForce, { host, port, protocol, http }: HeldRequest): Verdict {
  if (port !== null) {
    return evaluate(inForce, {
      authority: { host, port },
      protocol,
      ...(http === undefined ? {} : { http }),
    });
  }
  if (host.kind === 'name') return evaluateName(inForce, host.name);
  // Fail closed: nobody looks up an address.
  throw new RangeError('an address without a port');
}

function ruleFor({ host, port, protocol }: HeldRequest): Rule | null {
  const text = host.kind === 'name' ? host.name : host.address;
  const subject = parseSubject(text);
  if (!subject.ok) return null;
  return {
    id: `ask/allow:${text}${port === null ? '' : `:${port}`}`,
    verb: 'allow',
    subjects: [subject.value],
    ports: portsFor(port, protocol),
    addresses: null,
    metadata: false,
    because: null,
    origin: { file: CONSENT_FILE, line: 0, column: 0 },
  };
}

/** What a port alone means is what it means to `--allow`. A name that is looked up is for the web. */
function portsFor(
  port: number | null,
  protocol: Protocol | null,
): Readonly<Record<Protocol, readonly PortRange[]>> {
  if (port === null) return DEFAULT_PORTS;
  return { ...NO_PORTS, [protocol ?? spokenAt(port)]: [{ from: port, to: port }] };
}

/** What is taken to be spoken where it is not known yet. */
export function spokenAt(port: number): Protocol {
  if (port === 80) return 'http';
  return port === 443 ? 'https' : 'tcp';
}
