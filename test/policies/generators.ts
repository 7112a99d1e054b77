/** Generated names, patterns, policies and requests that meet often: few labels, few ports, few addresses. */
import fc from 'fast-check';
import type { PlainPolicy, PlainRequest, PlainRequirements, PlainRule } from './reference.ts';

const label = fc.constantFrom('a', 'b', 'api', 'api-1', 'api-', 'x1', '-', '_a', 'www');
const tail = fc.constantFrom('example', 'a.example', 'corp', 'b.a.example');
const glob = fc.constantFrom('*', 'api-*', '*-1', '*a', 'a*', '*a*', 'a*i', '*-*', 'x*1');

export const anyName = fc
  .tuple(fc.array(label, { maxLength: 3 }), tail)
  .map(([labels, end]) => [...labels, end].join('.'));

/** Patterns inside the grammar, none of them over a public suffix. */
export const anyPattern = fc.oneof(
  anyName,
  anyName.map((name) => `*.${name}`),
  anyName.map((name) => `**.${name}`),
  fc.tuple(glob, anyName).map(([first, name]) => `${first}.${name}`),
  fc.tuple(glob, label, anyName).map(([first, second, name]) => `${first}.${second}.${name}`),
  fc.tuple(glob, anyName).map(([second, name]) => `**.${second}.${name}`),
  fc.tuple(label, glob, anyName).map(([first, second, name]) => `${first}.${second}.${name}`),
);

const anyRange = fc.constantFrom(
  '198.51.100.0/24',
  '198.51.100.7',
  '10.0.0.0/8',
  '10.1.0.0/16',
  '192.0.2.1',
  '2001:db8::/32',
  '2001:db8::1',
  '169.254.0.0/16',
);
export const anyAddress = fc.constantFrom(
  '198.51.100.7',
  '198.51.100.8',
  '10.1.2.3',
  '10.2.3.4',
  '192.0.2.1',
  '2001:db8::1',
  '2001:db8::2',
  '::ffff:10.1.2.3',
  '::ffff:198.51.100.7',
  '169.254.169.254',
  '127.0.0.1',
);
const anyPort = fc.constantFrom(80, 443, 22, 5432, 8443, 6000, 6005);
const anyPorts = fc.array(fc.oneof(anyPort, fc.constantFrom('6000-6010', '443', '1-100')), {
  minLength: 1,
  maxLength: 3,
});
const ports = {
  http: fc.option(anyPorts, { nil: undefined }),
  https: fc.option(anyPorts, { nil: undefined }),
  tcp: fc.option(anyPorts, { nil: undefined }),
};
/** Requests are asked at the moment that lies between the two. */
export const NOW_MS = Date.UTC(2027, 0, 1);
const until = fc.option(fc.constantFrom('2026-06-01T00:00:00Z', '2027-06-01T00:00:00+02:00'), {
  nil: undefined,
});

const subjects = fc.oneof(
  { weight: 3, arbitrary: fc.array(anyPattern, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.array(fc.oneof(anyPattern, anyRange), { minLength: 1, maxLength: 3 }) },
);

/** They decide nothing: a rule with limits allows what it would allow without. */
const ruleLimits = fc.option(fc.constantFrom({ bytesOut: 1024 }, { connections: 5, bytesIn: 10 }), {
  nil: undefined,
});

const anyMethod = fc.constantFrom('GET', 'POST', 'HEAD');
const anyPath = fc.constantFrom(
  '/',
  '/**',
  '/a',
  '/a/',
  '/a/**',
  '/a/*',
  '/*/b',
  '/**/b',
  '/a/**/b',
  '/a*',
  '/*a*b',
  '/a b',
);
/** Of plain HTTP alone, and with one of the two keys at least. */
const requestRule = fc
  .record({
    allow: fc.array(anyPattern, { minLength: 1, maxLength: 2 }),
    http: anyPorts,
    methods: fc.option(fc.uniqueArray(anyMethod, { minLength: 1 }), { nil: undefined }),
    paths: fc.option(fc.uniqueArray(anyPath, { minLength: 1, maxLength: 3 }), { nil: undefined }),
    until,
  })
  .filter(({ methods, paths }) => methods !== undefined || paths !== undefined);
const anyTarget = fc
  .array(
    fc.constantFrom(
      '/',
      '/a',
      '/b',
      '/ab',
      '/.',
      '/..',
      '/%2e%2e',
      '/%61',
      '%2f',
      '/..;',
      '//',
      '?x=/a',
      '%20b',
      '%2561',
    ),
    {
      maxLength: 4,
    },
  )
  .map((pieces) => (pieces.length === 0 ? '*' : pieces.join('')));

export const anyAllowRule: fc.Arbitrary<PlainRule> = fc
  .oneof(
    fc.record({ allow: subjects, until, ...ports }),
    requestRule,
    fc.record({
      allow: fc.array(anyPattern, { minLength: 1, maxLength: 2 }),
      limits: ruleLimits,
      ...ports,
    }),
    fc.record({ allow: fc.constant(['host.sand']), tcp: anyPorts }),
    fc.record({ allow: fc.constant(['169.254.169.254']), metadata: fc.constant(true as const), ...ports }),
    fc.record({
      allow: fc.array(anyPattern, { minLength: 1, maxLength: 2 }),
      addresses: fc.array(anyRange, { minLength: 1 }),
      ...ports,
    }),
  )
  .map(withoutUndefined) as fc.Arbitrary<PlainRule>;

export const anyDenyRule: fc.Arbitrary<PlainRule> = subjects.map((deny) => ({ deny }));

export const anyReportingRule: fc.Arbitrary<PlainRule> = subjects.map((deny) => ({ deny, report: true }));

const anyRule = fc.oneof(
  { weight: 5, arbitrary: anyAllowRule },
  { weight: 1, arbitrary: anyDenyRule },
  { weight: 1, arbitrary: anyReportingRule },
  { weight: 1, arbitrary: subjects.map((mute): PlainRule => ({ mute })) },
);

/** They decide no request: who starts guests holds them to it. */
export const anyRequirements: fc.Arbitrary<PlainRequirements> = fc
  .record({
    confinement: fc.constantFrom('enforced' as const, undefined),
    isolation: fc.constantFrom('namespaces' as const, 'gvisor' as const, 'vm' as const, undefined),
  })
  .map(withoutUndefined) as fc.Arbitrary<PlainRequirements>;

export const anyPolicy: fc.Arbitrary<PlainPolicy> = fc
  .record({
    version: fc.constant(1 as const),
    mode: fc.constantFrom('enforce' as const, 'enforce' as const, 'report' as const),
    rules: fc.array(anyRule, { maxLength: 8 }),
    requires: fc.option(anyRequirements, { nil: undefined }),
  })
  .map(withoutUndefined) as fc.Arbitrary<PlainPolicy>;

export const anyRequest: fc.Arbitrary<PlainRequest> = fc
  .record({
    host: fc.oneof(
      { weight: 6, arbitrary: anyName },
      { weight: 2, arbitrary: anyAddress },
      fc.constantFrom('host.sand', 'gateway.sand'),
    ),
    port: anyPort,
    protocol: fc.constantFrom(null, 'http' as const, 'http' as const, 'https' as const, 'tcp' as const),
    http: fc.option(fc.record({ method: anyMethod, target: anyTarget }), { nil: undefined }),
  })
  .map(({ http, ...rest }) => (http === undefined || rest.protocol !== 'http' ? rest : { ...rest, http }));

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}
