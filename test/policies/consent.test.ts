import { describe, expect, test } from 'vitest';
import { type Consent, consentFor, type HeldRequest, withRules } from '../../policies/consent.ts';
import { evaluate, evaluateAddress, plantedPorts } from '../../policies/evaluate.ts';
import { formatPolicy } from '../../policies/format.ts';
import { parseAuthority } from '../../policies/hostname.ts';
import type { Authority, IpAddress, PolicyInForce } from '../../policies/model.ts';
import { inForce, policyOf } from './reader.ts';

const POLICY = inForce(
  policyOf(`version: 1
rules:
  - allow: known.example
  - deny: "**.denied.example"
  - deny: 203.0.113.0/28
  - mute: "**.muted.example"
  - {allow: old.example, until: "2020-01-01T00:00:00Z"}
  - {allow: plain.example, http: [80], methods: [GET], paths: [/a]}
`),
);
const OWN = ['198.51.100.9' as IpAddress];

function held(text: string, protocol: HeldRequest['protocol'] = null): HeldRequest & Authority {
  const parsed = parseAuthority(text, 443);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { ...parsed.value, protocol };
}

const ask = (
  text: string,
  policy: PolicyInForce = POLICY,
  protocol?: HeldRequest['protocol'],
): Consent | null => consentFor(policy, held(text, protocol), OWN);

describe('what may be asked about', () => {
  test.each([
    ['new.example', 'https', 443],
    ['new.example:80', 'http', 80],
    ['new.example:22', 'tcp', 22],
    ['known.example:8443', 'tcp', 8443],
    ['203.0.113.77:443', 'https', 443],
    ['[2606:4700::1]:80', 'http', 80],
  ] as const)('%s: a yes is a rule for exactly that', (text, protocol, port) => {
    const consent = ask(text);
    expect(consent?.rule.ports).toEqual({
      http: [],
      https: [],
      tcp: [],
      [protocol]: [{ from: port, to: port }],
    });
    const { host, port: at } = held(text);
    const under = consent?.over(POLICY) ?? POLICY;
    expect(evaluate(under, { authority: { host, port: at }, protocol: null }).decision).toBe('allow');
    expect(evaluate(under, { authority: { host, port: 9 }, protocol: null }).decision).toBe('deny');
    expect(under.policy.digest).toBe(POLICY.policy.digest);
  });

  test('a protocol that is known is the one that is meant', () => {
    expect(ask('new.example:8080', POLICY, 'http')?.rule.ports.http).toEqual([{ from: 8080, to: 8080 }]);
  });

  test('a name that is looked up is for the web', () => {
    const { host } = held('new.example');
    const consent = consentFor(POLICY, { host, port: null, protocol: null }, OWN);
    expect(consent?.rule).toMatchObject({
      id: 'ask/allow:new.example',
      ports: { http: [{ from: 80, to: 80 }], https: [{ from: 443, to: 443 }], tcp: [] },
    });
  });

  test.each([
    ['what is allowed', 'known.example:443'],
    ['what a deny rule decides', 'a.denied.example'],
    ['a denied address', '203.0.113.7:443'],
    ['what is muted', 'a.muted.example'],
    ['a rule that expired', 'old.example'],
    ['a private address', '10.0.0.7:443'],
    ['loopback', '127.0.0.1:80'],
    ['an address of this host', '198.51.100.9:443'],
    ['cloud metadata', '169.254.169.254:80'],
    ['a synthetic address', '198.18.0.5:80'],
    ['an embedded private address', '[64:ff9b::a00:1]:443'],
    ['the host\u2019s own services', 'host.sand:5432'],
    ['a reserved name', 'x.probe.sand'],
  ])('never %s', (_, text) => {
    expect(ask(text)).toBe(null);
  });

  test('never other methods or paths of a host that has a rule for them', () => {
    const request = held('plain.example:80', 'http');
    const http = { method: 'POST', path: { ok: true, segments: ['a'], sent: '/a' } } as const;
    expect(consentFor(POLICY, { ...request, http }, OWN)).toBe(null);
  });

  test('never what a ceiling would refuse all the same', () => {
    const ceiling = policyOf('version: 1\nrules: [allow: other.example]\n');
    expect(ask('new.example', { ...POLICY, ceilings: [ceiling] })).toBe(null);
    expect(ask('other.example', { ...POLICY, ceilings: [ceiling] })).not.toBe(null);
  });

  test('nothing where the policy only reports', () => {
    expect(ask('new.example', inForce(policyOf('version: 1\nmode: report\n')))).toBe(null);
  });
});

describe('a yes', () => {
  test('opens no address that is not public', () => {
    const consent = ask('new.example');
    const under = consent?.over(POLICY) ?? POLICY;
    const verdict = evaluate(under, { authority: held('new.example'), protocol: null });
    const said = (text: string) => evaluateAddress(under, verdict, text as IpAddress, OWN).reason;
    expect(['10.0.0.1', '127.0.0.1', '203.0.113.7', '203.0.113.77'].map(said)).toEqual([
      'address-guarded',
      'address-guarded',
      'deny-rule',
      'allowed-by-rule',
    ]);
  });

  test('holds only as far as the policy of the moment lets it', () => {
    const consent = ask('new.example');
    const stricter = inForce(policyOf('version: 1\nrules: [deny: new.example]\n'));
    const verdict = evaluate(consent?.over(stricter) ?? stricter, {
      authority: held('new.example'),
      protocol: null,
    });
    expect(verdict.reason).toBe('deny-rule');
  });

  test('for the run is a policy of its own, that reads as any other', () => {
    const { rule } = ask('db.example:5432') ?? {};
    const more = withRules(POLICY, rule === undefined ? [] : [rule]);
    expect(more.policy.digest).not.toBe(POLICY.policy.digest);
    expect(policyOf(formatPolicy(more.policy)).digest).toBe(more.policy.digest);
    expect(plantedPorts(more)).toContain(5432);
    expect(() => withRules(inForce(policyOf('version: 1\nphases: {a: {}}\n')), [])).toThrow('phase');
  });
});

test('ports that programs often try are planted where people are asked', () => {
  expect(plantedPorts(POLICY)).not.toContain(22);
  expect(plantedPorts(POLICY, true)).toEqual(expect.arrayContaining([22, 80, 443, 5432]));
});
