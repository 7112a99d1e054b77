import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../policies/address.ts';
import { evaluate, evaluateAddress, evaluateName, plantedPorts } from '../../policies/evaluate.ts';
import { formatAuthority, parseAuthority, parseHost } from '../../policies/hostname.ts';
import type {
  CompiledPolicy,
  Hostname,
  IpAddress,
  PolicyInForce,
  Protocol,
  Verdict,
} from '../../policies/model.ts';
import {
  anyAddress,
  anyAllowRule,
  anyDenyRule,
  anyName,
  anyPolicy,
  anyReportingRule,
  anyRequest,
  NOW_MS,
} from './generators.ts';
import { compileText, egressOf, inForce, policyOf, rulesPolicy } from './reader.ts';
import { type PlainPolicy, type PlainRequest, referenceVerdict } from './reference.ts';

function ask(
  policy: CompiledPolicy | PolicyInForce,
  authority: string,
  protocol: Protocol | null = null,
  nowMs = NOW_MS,
): Verdict {
  const parsed = parseAuthority(authority, 443);
  if (!parsed.ok) throw new Error(parsed.reason);
  const force = 'policy' in policy ? policy : inForce(policy);
  return evaluate(force, { authority: parsed.value, protocol }, nowMs);
}

function at(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(address.reason);
  return address.value;
}

function nameOf(text: string): Hostname {
  const host = parseHost(text);
  if (!host.ok || host.value.kind !== 'name') throw new Error(text);
  return host.value.name;
}

/** What becomes of dialling an address after a host was allowed. */
function dial(
  policy: CompiledPolicy | PolicyInForce,
  authority: string,
  address: string,
  own: string[] = [],
): string {
  const force = 'policy' in policy ? policy : inForce(policy);
  const { decision, reason } = evaluateAddress(force, ask(policy, authority), at(address), own.map(at));
  return decision === 'allow' ? 'allow' : reason;
}

function compilePlain(policy: PlainPolicy): CompiledPolicy {
  return policyOf(JSON.stringify(policy));
}

function askPlain(force: PolicyInForce, request: PlainRequest): Verdict {
  return evaluate(force, egressOf(request), NOW_MS);
}

describe('an empty policy', () => {
  test('denies', () => {
    for (const text of ['version: 1\n', 'version: 1\nrules: []\n']) {
      expect(ask(policyOf(text), 'example.com')).toMatchObject({ decision: 'deny', reason: 'no-rule' });
    }
  });
});

describe('ports and protocols', () => {
  test('without a port key are http on 80 and https on 443', () => {
    const policy = rulesPolicy('  - allow: a.example');
    expect(ask(policy, 'a.example:443').protocols).toEqual(['https']);
    expect(ask(policy, 'a.example:80').protocols).toEqual(['http']);
    expect(ask(policy, 'a.example:8443')).toMatchObject({ decision: 'deny', reason: 'port-not-allowed' });
  });

  test('named replace the default pair', () => {
    const policy = rulesPolicy('  - allow: a.example\n    https: [8443]');
    expect(ask(policy, 'a.example:8443').protocols).toEqual(['https']);
    expect(ask(policy, 'a.example:443').reason).toBe('port-not-allowed');
    expect(ask(policy, 'a.example:80').reason).toBe('port-not-allowed');
  });

  test('of another protocol on an allowed port are refused', () => {
    const policy = rulesPolicy('  - allow: a.example');
    expect(ask(policy, 'a.example:443', 'http')).toMatchObject({
      decision: 'deny',
      reason: 'protocol-not-allowed',
    });
  });

  test('of tcp cover whatever is spoken over it', () => {
    const policy = rulesPolicy('  - allow: a.example\n    tcp: ["6000-6010"]');
    expect(ask(policy, 'a.example:6005', 'https').decision).toBe('allow');
    expect(ask(policy, 'a.example:6011').decision).toBe('deny');
  });
});

describe('denials', () => {
  test('beat allows, in any layer', () => {
    const base = { 'base.yaml': 'version: 1\nrules:\n  - deny: gist.example.com\n' };
    const policy = policyOf('version: 1\nextends: ./base.yaml\nrules:\n  - allow: "**.example.com"\n', base);
    expect(ask(policy, 'gist.example.com')).toMatchObject({
      decision: 'deny',
      reason: 'deny-rule',
      rule: { id: 'base/deny:gist.example.com', origin: { file: 'base.yaml', line: 3 } },
    });
    expect(ask(policy, 'www.example.com').decision).toBe('allow');
  });

  test('of an address range hold for names that resolve into it', () => {
    const policy = rulesPolicy('  - allow: a.example\n  - deny: 198.51.100.0/24');
    expect(dial(policy, 'a.example', '198.51.100.9')).toBe('deny-rule');
    expect(dial(policy, 'a.example', '203.0.113.9')).toBe('allow');
  });

  test('of an IPv4 range hold for the IPv6 forms that embed it', () => {
    const policy = rulesPolicy('  - allow: a.example\n  - deny: 198.51.100.0/24');
    for (const form of ['::ffff:198.51.100.9', '64:ff9b::c633:6409', '2002:c633:6409::1']) {
      expect([form, dial(policy, 'a.example', form)]).toEqual([form, 'deny-rule']);
    }
  });

  test('hold in report mode', () => {
    const policy = policyOf('version: 1\nmode: report\nrules:\n  - deny: [a.example, 198.51.100.0/24]\n');
    expect(ask(policy, 'a.example')).toMatchObject({ decision: 'deny', reason: 'deny-rule' });
    expect(dial(policy, 'b.example', '198.51.100.9')).toBe('deny-rule');
  });

  test('suggest a rule to paste', () => {
    const policy = rulesPolicy('  - allow: "*.example.com"\n  - allow: db.example\n    tcp: [5432]');
    expect(ask(policy, 'api.other.example').suggestion).toBe('- allow: api.other.example');
    expect(ask(policy, 'api.other.example:5432').suggestion).toBe(
      '- {allow: api.other.example, tcp: [5432]}',
    );
    expect(ask(policy, 'db.example:5433').suggestion).toBe('- {allow: db.example, tcp: [5433]}');
    expect(ask(policy, '[2001:db8::1]:22').suggestion).toBe('- {allow: "2001:db8::1", tcp: [22]}');
  });

  test('of a name below a one-label wildcard ask whether any depth was meant', () => {
    const policy = rulesPolicy('  - allow: "*.example.com"');
    for (const name of ['a.b.example.com', 'example.com']) {
      expect(ask(policy, name).suggestion).toBe('did you mean "**.example.com"?');
    }
  });

  test('suggest nothing that a rule would not turn', () => {
    const policy = rulesPolicy('  - deny: a.example\n  - allow: b.example\n    until: 2026-01-01T00:00:00Z');
    expect(ask(policy, 'a.example').suggestion).toBeNull();
    expect(ask(policy, 'b.example').suggestion).toBeNull();
    expect(ask(policy, 'x.sand').suggestion).toBeNull();
    expect(ask(policy, '169.254.169.254').suggestion).toBeNull();
  });

  test('suggestions are rules that turn the denial', () => {
    fc.assert(
      fc.property(anyPolicy, anyRequest, (plain, request) => {
        const { suggestion } = askPlain(inForce(compilePlain({ ...plain, mode: 'enforce' })), request);
        if (suggestion === null || suggestion.startsWith('did')) return;
        const turned = policyOf(`version: 1\nrules:\n  ${suggestion}\n`);
        expect(askPlain(inForce(turned), request).decision).toBe('allow');
      }),
      { numRuns: 150 },
    );
  });
});

describe('rules with an end', () => {
  const policy = rulesPolicy('  - allow: a.example\n    until: 2027-01-31T18:00:00Z');
  const end = Date.UTC(2027, 0, 31, 18);

  test('grant until it and not from it on', () => {
    expect(ask(policy, 'a.example', null, end - 1).decision).toBe('allow');
    expect(ask(policy, 'a.example', null, end)).toMatchObject({ decision: 'deny', reason: 'rule-expired' });
    expect(ask(policy, 'a.example', null, end).rule?.id).toBe('policy/allow:a.example');
  });

  test('say nothing of a port that they never granted', () => {
    expect(ask(policy, 'a.example:22', null, end).reason).toBe('no-rule');
  });
});

describe('literal addresses', () => {
  const policy = rulesPolicy('  - allow: 198.51.100.0/24\n    tcp: [22]\n  - allow: a.example');

  test('are allowed by an address rule only', () => {
    expect(ask(policy, '198.51.100.7:22').protocols).toEqual(['tcp']);
    expect(dial(policy, '198.51.100.7:22', '198.51.100.7')).toBe('allow');
    expect(ask(policy, '203.0.113.7:22')).toMatchObject({ decision: 'deny', reason: 'raw-address' });
  });

  test('open nothing to a name that merely resolves there', () => {
    expect(ask(policy, 'a.example:22').reason).toBe('port-not-allowed');
    const both = rulesPolicy('  - allow: [a.example, 10.0.0.0/8]');
    expect(dial(both, 'a.example', '10.0.0.1')).toBe('address-guarded');
    expect(dial(both, '10.0.0.1', '10.0.0.1')).toBe('allow');
  });

  test('in an IPv6 form are not the IPv4 address that a rule lists', () => {
    expect(ask(policy, '[::ffff:198.51.100.7]:22').reason).toBe('raw-address');
  });
});

describe('the address guard', () => {
  const open = rulesPolicy('  - allow: a.example');
  const listed = rulesPolicy('  - allow: a.example\n    addresses: [10.20.0.0/16, 203.0.113.5]');

  test('refuses what is never dialled unless listed', () => {
    for (const address of [
      '127.0.0.1',
      '10.20.1.1',
      '192.168.1.1',
      '100.64.0.1',
      '198.18.0.1',
      '::1',
      'fd00::1',
    ]) {
      expect([address, dial(open, 'a.example', address)]).toEqual([address, 'address-guarded']);
    }
  });

  test('lets ordinary addresses pass, the documentation ranges among them', () => {
    for (const address of ['192.0.2.1', '198.51.100.1', '203.0.113.1', '2001:db8::1', '8.8.8.8']) {
      expect([address, dial(open, 'a.example', address)]).toEqual([address, 'allow']);
    }
  });

  test('opens what a rule lists for its name, and nothing else to it', () => {
    expect(dial(listed, 'a.example', '10.20.1.1')).toBe('allow');
    expect(dial(listed, 'a.example', '203.0.113.5')).toBe('allow');
    expect(dial(listed, 'a.example', '203.0.113.6')).toBe('address-not-listed');
    expect(dial(listed, 'a.example', '10.21.1.1')).toBe('address-not-listed');
  });

  test('unites the grants of a request', () => {
    const policy = rulesPolicy('  - allow: a.example\n    addresses: [10.20.0.0/16]\n  - allow: "*.example"');
    expect(dial(policy, 'a.example', '10.20.1.1')).toBe('allow');
    expect(dial(policy, 'a.example', '203.0.113.6')).toBe('allow');
    expect(dial(policy, 'a.example', '10.21.1.1')).toBe('address-guarded');
  });

  test('does not let a grant for one port open an address on another', () => {
    const policy = rulesPolicy(
      '  - allow: a.example\n    tcp: [5432]\n    addresses: [10.0.0.0/8]\n  - allow: a.example',
    );
    expect(dial(policy, 'a.example:5432', '10.1.1.1')).toBe('allow');
    expect(dial(policy, 'a.example:443', '10.1.1.1')).toBe('address-guarded');
  });

  test("refuses the host's own interface addresses", () => {
    expect(dial(open, 'a.example', '203.0.113.9', ['203.0.113.9'])).toBe('address-guarded');
    expect(dial(open, 'a.example', '::ffff:203.0.113.9', ['203.0.113.9'])).toBe('address-guarded');
  });

  test('does not open the IPv6 form of an address that is listed', () => {
    expect(dial(listed, 'a.example', '::ffff:10.20.1.1')).toBe('address-not-listed');
  });

  test('holds in report mode', () => {
    const report = policyOf('version: 1\nmode: report\n');
    expect(dial(report, 'a.example', '10.1.1.1')).toBe('address-guarded');
    expect(dial(report, 'a.example', '203.0.113.1')).toBe('allow');
    expect(dial(report, '10.1.1.1', '10.1.1.1')).toBe('address-guarded');
  });

  test('judges no address of a denied request', () => {
    expect(dial(open, 'b.example', '203.0.113.1')).toBe('no-rule');
  });
});

describe('cloud metadata addresses', () => {
  const METADATA = ['169.254.169.254', '169.254.170.2', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16'];

  test('are not opened by a range', () => {
    const policy = rulesPolicy('  - allow: [0.0.0.0/0, "::/0"]\n    tcp: [80]');
    for (const address of METADATA) {
      const text = address.includes(':') ? `[${address}]:80` : `${address}:80`;
      expect([address, ask(policy, text).reason]).toEqual([address, 'metadata-address']);
    }
    expect(ask(policy, '[::ffff:169.254.169.254]:80').reason).toBe('metadata-address');
    expect(ask(policy, '[64:ff9b::a9fe:a9fe]:80').reason).toBe('metadata-address');
  });

  test('are not reached by a name, whatever its addresses list', () => {
    const policy = rulesPolicy('  - allow: a.example\n    addresses: [169.254.0.0/16, "::/0"]');
    expect(dial(policy, 'a.example', '169.254.169.254')).toBe('metadata-address');
    expect(dial(policy, 'a.example', '::ffff:169.254.169.254')).toBe('metadata-address');
    expect(dial(policy, 'a.example', '169.254.1.1')).toBe('allow');
  });

  test('are opened by their exact address with metadata: true', () => {
    const policy = rulesPolicy('  - allow: 169.254.169.254\n    http: [80]\n    metadata: true');
    expect(dial(policy, '169.254.169.254:80', '169.254.169.254')).toBe('allow');
    expect(ask(policy, '169.254.170.2:80').reason).toBe('metadata-address');
  });

  test('are refused in report mode', () => {
    expect(ask(policyOf('version: 1\nmode: report\n'), '169.254.169.254:80')).toMatchObject({
      decision: 'deny',
      reason: 'metadata-address',
    });
  });
});

describe('host.sand', () => {
  const policy = rulesPolicy('  - allow: host.sand\n    tcp: [5432]\n  - allow: a.example');

  test('is the loopback of the host, port by port', () => {
    expect(ask(policy, 'host.sand:5432').protocols).toEqual(['tcp']);
    expect(ask(policy, 'host.sand:5433').reason).toBe('port-not-allowed');
    expect(dial(policy, 'host.sand:5432', '127.0.0.1')).toBe('allow');
    expect(dial(policy, 'host.sand:5432', '::1')).toBe('allow');
  });

  test('is nothing but the loopback', () => {
    for (const address of ['10.0.0.1', '203.0.113.1', '127.0.0.2', '::ffff:127.0.0.1']) {
      expect([address, dial(policy, 'host.sand:5432', address)]).not.toEqual([address, 'allow']);
    }
  });

  test('opens the loopback to no other name', () => {
    expect(dial(policy, 'a.example', '127.0.0.1')).toBe('address-guarded');
  });

  test('does not pass in report mode without its rule', () => {
    const report = policyOf('version: 1\nmode: report\n');
    for (const name of ['host.sand:80', 'gateway.sand:80']) {
      expect([name, ask(report, name).reason]).toEqual([name, 'no-rule']);
    }
  });
});

describe('report mode', () => {
  const policy = policyOf('version: 1\nmode: report\nrules:\n  - allow: a.example\n');

  test('lets pass what no rule allows, and says so', () => {
    expect(ask(policy, 'b.example:22')).toMatchObject({
      decision: 'allow',
      reason: 'would-be-denied',
      rule: null,
      protocols: ['tcp'],
      suggestion: '- {allow: b.example, tcp: [22]}',
    });
    expect(ask(policy, 'a.example').reason).toBe('allowed-by-rule');
  });

  test('plants the usual ports besides those of the rules', () => {
    expect(plantedPorts(inForce(policy))).toEqual([22, 80, 443, 1433, 3306, 5432, 6379, 8080, 8443, 27017]);
  });
});

describe('planted ports', () => {
  test('are the web and what some rule could allow', () => {
    const policy = rulesPolicy('  - allow: a.example\n    tcp: [5432, "6000-6002"]\n  - deny: b.example');
    expect(plantedPorts(inForce(policy))).toEqual([80, 443, 5432, 6000, 6001, 6002]);
    expect(plantedPorts(inForce(policyOf('version: 1')))).toEqual([80, 443]);
  });
});

describe('mute rules', () => {
  const policy = rulesPolicy('  - mute: "**.telemetry.example"\n  - allow: ok.telemetry.example');

  test('mark what no rule allows and decide nothing', () => {
    expect(ask(policy, 'x.telemetry.example')).toMatchObject({
      decision: 'deny',
      reason: 'no-rule',
      muted: true,
    });
    expect(ask(policy, 'ok.telemetry.example')).toMatchObject({ decision: 'allow', muted: false });
    expect(ask(policy, 'other.example').muted).toBe(false);
  });
});

describe('ceilings', () => {
  const policy = rulesPolicy(
    '  - allow: [a.example, b.example]\n  - allow: c.example\n    addresses: [10.0.0.0/8]',
  );
  const ceiling = rulesPolicy('  - allow: [a.example, c.example]\n  - deny: 203.0.113.0/24');

  test('must allow as well', () => {
    const force = inForce(policy, ceiling);
    expect(ask(force, 'a.example').reason).toBe('allowed-by-rule');
    expect(ask(force, 'b.example')).toMatchObject({
      decision: 'deny',
      reason: 'ceiling',
      protocols: [],
      grants: [],
    });
  });

  test('never widen', () => {
    expect(ask(inForce(rulesPolicy('  - allow: a.example'), policy), 'b.example').reason).toBe('no-rule');
  });

  test('hold in report mode, and ignore a mode of their own', () => {
    const report = policyOf('version: 1\nmode: report\n');
    expect(ask(inForce(report, ceiling), 'x.example').reason).toBe('ceiling');
    expect(ask(inForce(policy, report), 'a.example').reason).toBe('ceiling');
  });

  test('must open an address as well', () => {
    const force = inForce(policy, ceiling);
    expect(dial(force, 'c.example', '10.1.1.1')).toBe('ceiling');
    expect(dial(force, 'a.example', '203.0.113.1')).toBe('ceiling');
    expect(dial(force, 'a.example', '198.51.100.1')).toBe('allow');
  });

  test('leave of the protocols what they allow', () => {
    const wide = rulesPolicy('  - allow: a.example\n    tcp: [443]');
    const narrow = rulesPolicy('  - allow: a.example');
    expect(ask(inForce(wide, narrow), 'a.example').protocols).toEqual(['https']);
    expect(ask(inForce(narrow, wide), 'a.example').protocols).toEqual(['https']);
    expect(ask(inForce(wide, narrow), 'a.example', 'http').reason).toBe('ceiling');
  });

  test('refuse where nothing is left that may be spoken', () => {
    const tls = rulesPolicy('  - allow: a.example\n    https: [8443]');
    const plain = rulesPolicy('  - allow: a.example\n    http: [8443]');
    expect(ask(inForce(tls, plain), 'a.example:8443').reason).toBe('ceiling');
  });

  test('deny before they allow', () => {
    const denying = rulesPolicy('  - allow: "**.example"\n  - deny: a.example');
    expect(ask(inForce(policy, denying), 'a.example')).toMatchObject({
      reason: 'ceiling',
      rule: { id: 'policy/deny:a.example' },
    });
    expect(ask(inForce(policy, denying), 'b.example').decision).toBe('allow');
  });

  test('refuse an address under a verdict that was made without them', () => {
    const verdict = ask(policy, 'a.example');
    expect(evaluateAddress(inForce(policy, ceiling), verdict, at('198.51.100.1'), []).reason).toBe('ceiling');
  });
});

describe('a name alone', () => {
  const policy = rulesPolicy(
    '  - allow: db.example\n    tcp: [5432]\n  - deny: bad.example\n  - allow: bad.example',
  );

  test('is allowed where some port could be', () => {
    expect(evaluateName(inForce(policy), nameOf('db.example'))).toMatchObject({
      decision: 'allow',
      protocols: ['tcp'],
    });
    expect(evaluateName(inForce(policy), nameOf('bad.example')).reason).toBe('deny-rule');
    expect(evaluateName(inForce(policy), nameOf('x.example')).reason).toBe('no-rule');
  });

  test('is allowed where a rule wants certain requests, and its port is planted', () => {
    const policy = rulesPolicy('  - {allow: a.example, http: [8080], methods: [GET], paths: [/x]}');
    expect(evaluateName(inForce(policy), nameOf('a.example')).decision).toBe('allow');
    expect(plantedPorts(inForce(policy))).toEqual([80, 443, 8080]);
  });

  test('is denied wherever every port of it is', () => {
    fc.assert(
      fc.property(anyPolicy, anyName, anyRequest, (plain, name, { port, protocol }) => {
        const force = inForce(compilePlain(plain));
        if (evaluateName(force, nameOf(name), NOW_MS).decision === 'allow') return;
        expect(askPlain(force, { host: name, port, protocol }).decision).toBe('deny');
      }),
    );
  });
});

describe('the evaluator', () => {
  test('agrees with the reference', () => {
    fc.assert(
      fc.property(
        anyPolicy,
        fc.array(anyPolicy, { maxLength: 2 }),
        fc.array(anyRequest, { minLength: 5, maxLength: 20 }),
        (plain, above, requests) => {
          const force = inForce(compilePlain(plain), ...above.map(compilePlain));
          for (const request of requests) {
            const { decision, reason, protocols, muted } = askPlain(force, request);
            expect({ request, decision, reason, protocols, muted }).toEqual({
              request,
              ...referenceVerdict(plain, above, request, NOW_MS),
            });
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('says the same whatever the order of the rules', () => {
    fc.assert(
      fc.property(anyPolicy, anyRequest, anyAddress, fc.nat(), (plain, request, address, turn) => {
        const cut = turn % Math.max(1, plain.rules.length);
        const rules = [...plain.rules.slice(cut), ...plain.rules.slice(0, cut)].reverse();
        const [one, two] = [plain, { ...plain, rules }].map((policy) => {
          const force = inForce(compilePlain(policy));
          const verdict = askPlain(force, request);
          const dialled = evaluateAddress(force, verdict, at(address), []);
          const ids = new Set(verdict.grants.map(({ id }) => id));
          return {
            ...verdict,
            rule: verdict.rule?.id,
            grants: ids,
            dialled: { ...dialled, rule: dialled.rule?.id },
          };
        });
        expect(one).toEqual(two);
      }),
      { numRuns: 150 },
    );
  });

  const bothWays = (force: PolicyInForce, request: PlainRequest, address: string): boolean => {
    const verdict = askPlain(force, request);
    return (
      verdict.decision === 'allow' && evaluateAddress(force, verdict, at(address), []).decision === 'allow'
    );
  };

  test('never allows more after a deny is added', () => {
    fc.assert(
      fc.property(anyPolicy, anyDenyRule, anyRequest, anyAddress, (plain, denial, request, address) => {
        const before = bothWays(inForce(compilePlain(plain)), request, address);
        const after = bothWays(
          inForce(compilePlain({ ...plain, rules: [...plain.rules, denial] })),
          request,
          address,
        );
        expect(after && !before).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  test('takes no trial from a ceiling: what its rules would only report, they deny', () => {
    const policy = rulesPolicy('  - allow: [a.example, b.example]');
    const names = rulesPolicy('  - allow: "*.example"\n  - {deny: a.example, report: true}');
    expect(ask(inForce(policy, names), 'a.example').reason).toBe('ceiling');
    expect(ask(inForce(policy, names), 'b.example').reason).toBe('allowed-by-rule');
    const ranges = rulesPolicy('  - allow: "*.example"\n  - {deny: 203.0.113.0/24, report: true}');
    expect(dial(inForce(policy, ranges), 'a.example', '203.0.113.1')).toBe('ceiling');
  });

  test('decides the same without the rules that only report', () => {
    fc.assert(
      fc.property(anyPolicy, anyReportingRule, anyRequest, anyAddress, (plain, trial, request, address) => {
        const [without, withTrial] = [plain, { ...plain, rules: [...plain.rules, trial] }].map((policy) =>
          bothWays(inForce(compilePlain(policy)), request, address),
        );
        expect(withTrial).toBe(without);
      }),
      { numRuns: 150 },
    );
  });

  test('allows a request only where a connection for it may be opened', () => {
    fc.assert(
      fc.property(anyPolicy, anyRequest, (plain, request) => {
        const force = inForce(compilePlain(plain));
        const { http: _, ...connection } = request;
        if (askPlain(force, request).decision === 'allow')
          expect(askPlain(force, connection).decision).toBe('allow');
      }),
      { numRuns: 150 },
    );
  });

  test('never allows more after an allow is removed', () => {
    fc.assert(
      fc.property(anyPolicy, anyAllowRule, anyRequest, anyAddress, (plain, grant, request, address) => {
        const enforced = { ...plain, mode: 'enforce' } as const;
        const fewer = bothWays(inForce(compilePlain(enforced)), request, address);
        const more = bothWays(
          inForce(compilePlain({ ...enforced, rules: [...plain.rules, grant] })),
          request,
          address,
        );
        expect(fewer && !more).toBe(false);
      }),
      { numRuns: 150 },
    );
  });

  test('rebuilds what it looks rules up in when the rules are replaced', () => {
    const policy = rulesPolicy('  - allow: a.example');
    const replaced = { ...policy, rules: rulesPolicy('  - allow: b.example').rules };
    expect(ask(replaced, 'a.example').decision).toBe('deny');
    expect(ask(replaced, 'b.example').decision).toBe('allow');
  });

  test('survives any bytes as a policy', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string(), fc.string({ unit: 'binary' })),
        (content) => {
          const compiled = compileText(content);
          if (compiled.ok) expect(ask(compiled.value, 'a.example').reason).toBe('no-rule');
          else expect(compiled.issues.length).toBeGreaterThan(0);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('survives any text as an authority, and what parses is written back the same', () => {
    const fragments = fc.constantFrom(
      '[',
      ']',
      ':',
      '::',
      '.',
      'a',
      '1',
      '0x',
      '%',
      '80',
      'ü',
      '。',
      '-',
      '*',
      '\0',
      ' ',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(fragments).map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(text, (authority) => {
        const parsed = parseAuthority(authority, 443);
        if (!parsed.ok) return;
        expect(parseAuthority(formatAuthority(parsed.value), null)).toEqual(parsed);
        ask(policyOf('version: 1'), formatAuthority(parsed.value));
      }),
      { numRuns: 2000 },
    );
  });
});
