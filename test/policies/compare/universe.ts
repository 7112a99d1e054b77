/**
 * Every request that could tell two small policies apart, from their texts alone: each label as it is and filled in,
 * a fresh one beside it and one deeper; each port and its neighbours; addresses in, at the edge of and outside ranges.
 */
import { isIP } from 'node:net';
import type { PlainPolicy, PlainPort, PlainRequest, PlainRule } from '../reference.ts';

export interface Universe {
  readonly requests: readonly PlainRequest[];
  readonly addresses: readonly string[];
  readonly times: readonly number[];
}

export function universeOf(policies: readonly PlainPolicy[], nowMs: number): Universe {
  const rules = policies.flatMap((policy) => policy.rules);
  const subjects = [...new Set(rules.flatMap(subjectsOf))];
  const isRange = (text: string): boolean => isIP(text.split('/')[0] ?? '') !== 0;
  const ranges = [
    ...subjects.filter(isRange),
    ...rules.flatMap((rule) => ('allow' in rule ? (rule.addresses ?? []) : [])),
  ];
  const addresses = [...new Set([...ranges.flatMap(edgesOf), ...ALWAYS])];
  const names = [
    ...new Set(['fresh.example', ...subjects.filter((text) => !isRange(text)).flatMap(namesOf)]),
  ];
  const ports = [...new Set([443, 80, 9, ...rules.flatMap(portsOf)])];
  const asked = httpOf(rules);
  const requests = [...names, ...addresses].flatMap((host) =>
    ports.flatMap((port): readonly PlainRequest[] => [
      { host, port, protocol: 'https' },
      { host, port, protocol: 'tcp' },
      ...asked.map((http): PlainRequest => ({ host, port, protocol: 'http', http })),
    ]),
  );
  const ends = rules.flatMap((rule) =>
    'allow' in rule && rule.until !== undefined ? [Date.parse(rule.until)] : [],
  );
  const times = [...new Set([nowMs, ...ends.filter((end) => end > nowMs)])];
  return { requests: spread(requests), addresses, times };
}

/** Of a universe that is larger, as many are asked, from all over it: a stride that shares no factor with its size. */
const MOST_REQUESTS = 200;
const STRIDE = 7_919;

function spread<T>(all: readonly T[]): readonly T[] {
  if (all.length <= MOST_REQUESTS) return all;
  return Array.from({ length: MOST_REQUESTS }, (_, at) => all[(at * STRIDE) % all.length]).filter(
    (one) => one !== undefined,
  );
}

const ALWAYS = [
  '192.0.2.1',
  '10.9.9.9',
  '169.254.169.254',
  '127.0.0.1',
  '::ffff:10.1.2.3',
  '2001:db8:1::1',
  '2001:db8::5efe:a01:203',
];

function subjectsOf(rule: PlainRule): readonly string[] {
  if ('allow' in rule) return rule.allow;
  return 'deny' in rule ? rule.deny : rule.mute;
}

function namesOf(pattern: string): readonly string[] {
  const [first = '', ...rest] = pattern.split('.');
  const tails = rest.reduce<string[]>(
    (sofar, label) => sofar.flatMap((text) => fill(label).map((one) => `${text}.${one}`)),
    [''],
  );
  return tails.flatMap((tail) => [
    ...(first === '**' ? [tail.slice(1)] : fill(first).map((label) => `${label}${tail}`)),
    `fresh${tail}`,
    ...fill(first === '**' ? '*' : first).map((label) => `fresh.${label}${tail}`),
    `fresh.fresh${tail}`,
  ]);
}

/** A star stands for nothing, for something, and for what other patterns name. */
function fill(label: string): readonly string[] {
  if (!label.includes('*')) return [label];
  const texts = ['', 'q', 'a-i', 'x1'].map((text) => label.replaceAll('*', text));
  return texts.filter((text) => text !== '');
}

function portsOf(rule: PlainRule): readonly number[] {
  if (!('allow' in rule)) return [];
  const ports: readonly PlainPort[] = [...(rule.http ?? []), ...(rule.https ?? []), ...(rule.tcp ?? [])];
  return ports.flatMap((port) => {
    const [from = 0, to = from] = String(port).split('-').map(Number);
    return [from - 1, from, to, to + 1].filter((one) => one >= 1);
  });
}

interface PlainHttp {
  readonly method: string;
  readonly target: string;
}

function httpOf(rules: readonly PlainRule[]): readonly PlainHttp[] {
  const named = rules.flatMap((rule) => ('allow' in rule ? (rule.methods ?? []) : []));
  const paths = rules.flatMap((rule) => ('allow' in rule ? (rule.paths ?? []) : []));
  const methods = new Set(named.length === 0 ? ['GET'] : ['OTHER', ...named]);
  const targets = new Set(paths.length === 0 ? ['/'] : ['//', '/fresh', ...paths.flatMap(targetsOf)]);
  return [...methods].flatMap((method) => [...targets].map((target) => ({ method, target })));
}

function targetsOf(path: string): readonly string[] {
  const written = path.replaceAll(' ', '%20');
  const filled = [
    written.replaceAll('**', 'q').replaceAll('*', 'q'),
    written.replaceAll('**', 'b/a').replaceAll('*', ''),
    written.replaceAll('/**', '').replaceAll('*', 'b'),
  ];
  return filled
    .flatMap((text) => [text, `${text}/`])
    .filter((text) => text.startsWith('/') && !text.includes('//'));
}

/** First, last, and one before and after, of IPv4; of IPv6 the first and one far inside. */
function edgesOf(range: string): readonly string[] {
  const [network = '', length] = range.split('/');
  if (isIP(network) === 6)
    return [network, ...(length === undefined || length === '128' ? [] : [`${network}5:1`])].filter(
      (one) => isIP(one) === 6,
    );
  const first = network.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const last = first + 2 ** (32 - Number(length ?? 32)) - 1;
  return [first - 1, first, first + 1, last, last + 1]
    .filter((one) => one > 0 && one < 2 ** 32)
    .map((one) => [24, 16, 8, 0].map((shift) => Math.floor(one / 2 ** shift) % 256).join('.'));
}
