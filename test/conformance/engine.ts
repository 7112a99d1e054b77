/** Runs the cases that need no socket: a question to the rules, a policy file, an audit entry, a line of a log. */
import { expect } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { formatEvent } from '../../audit/event-text.ts';
import { decodeLine, encodeLine, FIRST_PREV } from '../../audit/line.ts';
import { evaluate, evaluateAddress } from '../../policies/evaluate.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import { formatIssue } from '../../policies/issue.ts';
import type { PolicyInForce, Protocol } from '../../policies/model.ts';
import { NO_RULE } from '../audit/samples.ts';
import { compileText, inForce, policyOf } from '../policies/reader.ts';
import { addressOf } from '../proxy/rig.ts';
import { type EngineCase, holds } from './catalogue.ts';
import { recordOf } from './in-process.ts';

const ORDINARY = ['203.0.113.9'];
/** Before every `until` of the catalogue but those that are meant to be over. */
const FRAME = { seq: 1, timeMs: Date.UTC(2026, 10, 21), guest: 'g', prev: FIRST_PREV };

export function runEngineCase(test: EngineCase, policies: Readonly<Record<string, string>>): void {
  const text = (named: string | undefined): string => policies[named ?? ''] ?? named ?? 'version: 1\n';
  if (test.ask !== undefined) {
    const ceilings = test.ceiling === undefined ? [] : [policyOf(text(test.ceiling))];
    judgeRequest(test, test.ask, inForce(policyOf(text(test.policy)), ...ceilings));
  } else if (test.file !== undefined || test.build !== undefined) compileFile(test);
  else if (test.entry !== undefined) writeEntry(test, test.entry);
  else if (test.raw !== undefined) readLine(test, test.raw);
  else throw new Error('the case asks nothing');
}

function judgeRequest(test: EngineCase, question: string, force: PolicyInForce): void {
  const [spoken = '', host = ''] = question.split(/ (.*)/s);
  const authority = parseAuthority(host, null);
  if (!authority.ok) {
    // What cannot be parsed is never allowed.
    expect([test.verdict, test.reason ?? 'request-malformed']).toEqual(['deny', 'request-malformed']);
    return;
  }
  const protocol = spoken === 'any' ? null : (spoken as Protocol);
  const addresses = (test.at ?? ORDINARY).map(addressOf);
  const hostAddresses = (test.host ?? []).map(addressOf);
  const verdict = evaluate(force, { authority: authority.value, protocol });
  const named = authority.value.host;
  const dialled = named.kind === 'address' ? [named.address] : addresses;
  const judged = dialled.map((address) => evaluateAddress(force, verdict, address, hostAddresses));
  const decided = judged.find(({ decision }) => decision === 'allow') ?? judged[0];
  const record = recordOf({ inForce: force, authority: authority.value, protocol, addresses, hostAddresses });
  const expected = {
    verdict: test.verdict,
    ...(test.reason === undefined ? {} : { reason: test.reason }),
  };
  expect({ verdict: decided?.decision, reason: decided?.reason }).toMatchObject(expected);
  expect(record).toMatchObject({
    ...expected,
    disposition: test.verdict === 'allow' ? 'forwarded' : 'refused',
  });
  for (const one of test.audit ?? []) expect(record).toSatisfy((value) => holds(one, value));
}

function compileFile(test: EngineCase): void {
  const built = (test.build ?? []).map(([piece, count]) => piece.repeat(count)).join('');
  const compiled = compileText(test.file ?? built, test.files ?? {});
  const issues = compiled.ok ? [] : compiled.issues;
  const said = issues.map(formatIssue);
  expect(compiled.ok, said.join('\n')).toBe(test.verdict === 'allow');
  if (test.issue !== undefined) expect(said.join('\n')).toMatch(new RegExp(test.issue));
}

function writeEntry(test: EngineCase, entry: Readonly<Record<string, unknown>>): void {
  const base = { kind: 'connection', connection: 1, via: 'connect', host: 'a', port: 1, protocol: null };
  const line = encodeLine({ ...base, ...NO_RULE, ...entry } as AuditEntry, FRAME);
  expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  if (test.line !== undefined) expect(line).toMatch(new RegExp(test.line));
  if (test.not !== undefined) expect(line).not.toMatch(new RegExp(test.not));
  const decoded = decodeLine(Buffer.from(line));
  if (!decoded.ok) throw new Error(`the log does not read its own line: ${decoded.detail}`);
  expect(formatEvent(decoded.event)).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u);
  for (const one of test.audit ?? []) expect(decoded.event).toSatisfy((value) => holds(one, value));
}

function readLine(test: EngineCase, raw: string): void {
  const decoded = decodeLine(Buffer.from(raw, 'latin1'));
  expect(decoded.ok).toBe(test.verdict === 'allow');
  if (!decoded.ok && test.reason !== undefined) expect(decoded.problem).toBe(test.reason);
}
