/**
 * Generated policies and requests on which all must agree: the evaluator, the naive reference, what the proxy
 * puts on record, what `why` makes of each rule and proposes to change, and what DNS says of the name.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { createResolver } from '../../dns/resolver.ts';
import type { UpstreamClient } from '../../dns/upstream.ts';
import { compilePolicy } from '../../policies/compile.ts';
import { editPolicy } from '../../policies/edit/edit.ts';
import { pasteLine } from '../../policies/edit/rule-text.ts';
import { evaluate } from '../../policies/evaluate.ts';
import { considerRules, type Effect } from '../../policies/explain/considered.ts';
import { type Explanation, explain } from '../../policies/explain/explain.ts';
import type { CompiledPolicy, EgressRequest, PolicyInForce } from '../../policies/model.ts';
import type { Reason } from '../../policies/reasons.ts';
import { GUEST, question } from '../dns/world.ts';
import { anyPolicy, anyRequest } from '../policies/generators.ts';
import { DIRECTORY, egressOf, memoryReader } from '../policies/reader.ts';
import {
  inRange,
  type PlainPolicy,
  type PlainRequest,
  type PlainRule,
  referenceVerdict,
} from '../policies/reference.ts';
import { addressOf } from '../proxy/rig.ts';
import { recordOf } from './in-process.ts';

const POLICIES = 2_500;
const REQUESTS_EACH = 4;
/** What every name resolves to: ordinary addresses, and some that only a rule opens. */
const ANSWER = ['203.0.113.9', '198.51.100.7', '10.1.2.3', '192.0.2.1', '2001:db8::1', '169.254.1.1'];
const GUARDED = /^(10\.|127\.|169\.254\.|::ffff:(10|127)\.)/;
/** Ends of every range that the generated rules name, and the web's own ports. */
const PORTS = [1, 22, 80, 443, 5432, 6000, 6005, 8443];
const UPSTREAM: UpstreamClient = {
  lookup: async () => ({ kind: 'addresses', addresses: ANSWER.map(addressOf) }),
  close: () => {},
};

function compile(policy: PlainPolicy | string): CompiledPolicy {
  const text = typeof policy === 'string' ? policy : JSON.stringify(policy);
  const compiled = compilePolicy(
    [{ kind: 'text', text, file: 'policy.yaml', directory: DIRECTORY }],
    memoryReader(),
  );
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues));
  return compiled.value;
}

/** The reference's word on addresses: a denied one is never dialled, a guarded one only where a rule lists it. */
function mayDial(policy: PlainPolicy, request: PlainRequest, address: string, nowMs: number): boolean {
  if (isDeniedAddress(policy, address, false)) return false;
  const granting = policy.rules.filter(
    (rule) =>
      'allow' in rule &&
      referenceVerdict({ ...policy, mode: 'enforce', rules: [rule] }, [], request, nowMs).decision ===
        'allow',
  );
  if (granting.length === 0) return !GUARDED.test(address);
  return granting.some((rule) => opens(rule, request, address));
}

/** `reporting`: by a rule that only reports. */
function isDeniedAddress(policy: PlainPolicy, address: string, reporting: boolean): boolean {
  const mapped = /^::ffff:([\d.]+)$/.exec(address)?.[1];
  return policy.rules.some(
    (rule) =>
      'deny' in rule &&
      'report' in rule === reporting &&
      rule.deny.some(
        (range) =>
          isRange(range) && (inRange(range, address) || (mapped !== undefined && inRange(range, mapped))),
      ),
  );
}

function opens(rule: PlainRule, request: PlainRequest, address: string): boolean {
  if (!('allow' in rule)) return false;
  if (request.host === 'host.sand') return address === '127.0.0.1' || address === '::1';
  if (request.host === address) return true;
  if (rule.addresses === undefined) return !GUARDED.test(address);
  return rule.addresses.some((range) => inRange(range, address));
}

function isRange(subject: string): boolean {
  return /^[\d.]+(\/\d+)?$|:/.test(subject);
}

function recordByReference(policy: PlainPolicy, request: PlainRequest, nowMs: number) {
  const said = referenceVerdict(policy, [], request, nowMs);
  if (said.decision === 'deny') return { verdict: 'deny', reason: said.reason };
  const isName = !/^[\d.]+$|:/.test(request.host);
  const answer = !isName ? [request.host] : request.host === 'host.sand' ? ['127.0.0.1'] : ANSWER;
  const open = answer.filter((address) => mayDial(policy, request, address, nowMs));
  if (open.length === 0) return { verdict: 'deny' };
  const isReported = open.some((address) => isDeniedAddress(policy, address, true));
  return { verdict: 'allow', reason: isReported ? 'would-be-denied' : said.reason };
}

/** Whether the reference allows the name on any port in any protocol. */
function nameByReference(policy: PlainPolicy, host: string, nowMs: number): boolean {
  const ports = [...PORTS, ...policy.rules.flatMap(portsOf)];
  return ports.some(
    (port) => referenceVerdict(policy, [], { host, port, protocol: null }, nowMs).decision === 'allow',
  );
}

function portsOf(rule: PlainRule): readonly number[] {
  if (!('allow' in rule)) return [];
  return [rule.http, rule.https, rule.tcp].flatMap((ports) =>
    (ports ?? []).map((port) => Number(String(port).split('-')[0])),
  );
}

async function dnsVerdict(
  inForce: PolicyInForce,
  host: string,
): Promise<{ allowed: boolean; given: boolean }> {
  const events: AuditEntry[] = [];
  const context = {
    policy: () => inForce,
    upstreams: () => [],
    hostAddresses: () => [],
    audit: { record: (entry: AuditEntry) => events.push(entry) },
  };
  const resolver = createResolver(context, { upstream: UPSTREAM });
  const answer = await resolver.answer(question(host), GUEST);
  resolver.close();
  const [record] = events;
  if (record?.kind !== 'dns' || events.length !== 1) throw new Error('not exactly one record');
  return { allowed: record.verdict === 'allow', given: answer.records.length > 0 };
}

/** Decision and reason as they follow from what each rule makes of the request, and from nothing else. */
function verdictOfEffects(
  policy: PlainPolicy,
  { host }: PlainRequest,
  considered: readonly { readonly effect: Effect }[],
): { decision: 'allow' | 'deny'; reason: Reason; muted: boolean } {
  const has = (...effects: readonly Effect[]) => considered.some(({ effect }) => effects.includes(effect));
  if (has('allows')) {
    return {
      decision: 'allow',
      reason: has('reports') ? 'would-be-denied' : 'allowed-by-rule',
      muted: false,
    };
  }
  const isAddress = isRange(host);
  const isMetadata = has('metadata') || /169\.254\.169\.254|a9fe:a9fe/.test(host);
  const named: readonly (readonly [Effect, Reason])[] = [
    ['expired', 'rule-expired'],
    ['method', 'method-not-allowed'],
    ['path', 'path-not-allowed'],
  ];
  const near = named.find(([effect]) => has(effect))?.[1];
  const byHost: Reason = has('protocol')
    ? 'protocol-not-allowed'
    : has('port')
      ? 'port-not-allowed'
      : isAddress
        ? 'raw-address'
        : 'no-rule';
  const reason = near ?? (isMetadata ? 'metadata-address' : byHost);
  // A rule that only a denial beats grants all the same, so nothing is kept out of reports.
  const muted = has('mutes') && !has('beaten');
  if (has('denies')) return { decision: 'deny', reason: 'deny-rule', muted };
  const passes = policy.mode === 'report' && reason !== 'metadata-address' && !/(^|\.)sand$/.test(host);
  return passes
    ? { decision: 'allow', reason: 'would-be-denied', muted }
    : { decision: 'deny', reason, muted };
}

/** The change that `why` proposes, made in the text of the policy, and asked of it there. */
function turnedByText(
  policy: PlainPolicy,
  asked: EgressRequest,
  { turning }: Explanation,
  nowMs: number,
): boolean {
  if (turning === null) throw new Error('no change to try');
  let text = JSON.stringify(policy);
  const change = (edited: ReturnType<typeof editPolicy>) => {
    if (!edited.ok) throw new Error(JSON.stringify(edited));
    text = edited.text;
  };
  if (turning.add !== null) change(editPolicy(text, 'policy.yaml', { kind: 'add', rules: [turning.add] }));
  const compiled = compile(text);
  // Rules to be taken out are named by their place, which the text before the addition has.
  const gone = new Set(turning.remove.map(({ id }) => id));
  const rules = compiled.rules.filter(({ id }) => !gone.has(id));
  const after = { policy: { ...compiled, rules }, ceilings: [] };
  const circumstances = { nowMs, addresses: ANSWER.map(addressOf), hostAddresses: [] };
  return explain(after, asked, circumstances).decision === 'allow';
}

function agreeOnWhy(
  policy: PlainPolicy,
  inForce: PolicyInForce,
  request: PlainRequest,
  nowMs: number,
  isTriedInText: boolean,
): Explanation {
  const circumstances = { nowMs, addresses: ANSWER.map(addressOf), hostAddresses: [] };
  const asked = egressOf(request);
  const said = evaluate(inForce, asked, nowMs);
  const spoken = { ...asked, protocol: asked.protocol ?? said.protocols[0] ?? null };
  const why = explain(inForce, spoken, circumstances);
  const { decision, reason, muted } = said;
  expect(
    verdictOfEffects(
      policy,
      request,
      considerRules(inForce.policy, { ...asked.authority, ...asked, http: asked.http, nowMs }),
    ),
  ).toEqual({
    decision,
    reason,
    muted,
  });
  if (why.turning !== null) {
    if (why.decision === 'deny' && isTriedInText) expect(turnedByText(policy, spoken, why, nowMs)).toBe(true);
    if (
      said.suggestion?.startsWith('- ') === true &&
      why.reason === said.reason &&
      why.turning.add !== null
    ) {
      const { suggestion } = evaluate(inForce, spoken, nowMs);
      expect(pasteLine(why.turning.add)).toBe(suggestion);
    }
  }
  return why;
}

describe('evaluator, reference, record, why and DNS', () => {
  it(`agree on ${POLICIES * REQUESTS_EACH} generated questions`, { timeout: 120_000 }, async () => {
    // One moment for all of a question: the proxy reads the clock itself.
    const nowMs = Date.now();
    const requests = fc.array(anyRequest, { minLength: REQUESTS_EACH, maxLength: REQUESTS_EACH });
    await fc.assert(
      fc.asyncProperty(anyPolicy, requests, async (policy, asked) => {
        const inForce = { policy: compile(policy), ceilings: [] };
        // Reading and writing a policy text costs more than all the rest.
        const [first] = asked;
        for (const request of asked) {
          const asked = egressOf(request);
          const { authority } = asked;
          const said = evaluate(inForce, asked, nowMs);
          const reference = referenceVerdict(policy, [], request, nowMs);
          expect({
            decision: said.decision,
            reason: said.reason,
            protocols: said.protocols,
            muted: said.muted,
          }).toEqual(reference);
          const record = recordOf({
            inForce,
            ...asked,
            addresses: request.host === 'host.sand' ? [addressOf('127.0.0.1')] : ANSWER.map(addressOf),
            hostAddresses: [],
          });
          expect(record).toMatchObject(recordByReference(policy, request, nowMs));
          const why = agreeOnWhy(policy, inForce, request, nowMs, request === first);
          const { id = null } = why.rule ?? {};
          expect({ verdict: why.decision, reason: why.reason, rule: id }).toEqual({
            verdict: record.verdict,
            reason: record.reason,
            rule: record.rule?.id ?? null,
          });
          expect(record.disposition).toBe(record.verdict === 'allow' ? 'forwarded' : 'refused');
          if (authority.host.kind === 'name' && authority.host.name !== 'gateway.sand') {
            const dns = await dnsVerdict(inForce, request.host);
            const isAllowed = nameByReference(policy, request.host, nowMs);
            expect(dns).toEqual({ allowed: isAllowed, given: isAllowed });
          }
        }
      }),
      { numRuns: POLICIES },
    );
  });
});
