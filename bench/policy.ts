/** What the number of rules costs: compiling a policy file, judging one request by it, comparing two, in this process. */
import { checkPolicy } from '../policies/check/check.ts';
import { comparePolicies } from '../policies/compare/compare.ts';
import { compilePolicy } from '../policies/compile.ts';
import { evaluate } from '../policies/evaluate.ts';
import { parseHost } from '../policies/hostname.ts';
import type { CompiledPolicy, EgressRequest, PolicyInForce } from '../policies/model.ts';
import { median, pairedRatio } from './statistics.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';

export const name = 'policy';
export const summary =
  'compile time and evaluations a second at 10, 1,000 and 100,000 rules; comparisons at 10, 1,000 and 10,000';

const SIZES: readonly number[] = [10, 1_000, 100_000];
const ROUNDS = 5;
/** One slice of evaluation, and how many are made between two looks at the clock. */
const SLICE_MS = 200;
const BATCH = 1_000;
/** Compiling the largest is seconds, so it is not repeated beyond this. */
const COMPILE_BUDGET_MS = 25_000;

interface Sized {
  readonly rules: number;
  readonly text: string;
  readonly policy: PolicyInForce;
  readonly compileMs: number[];
  readonly rates: Map<string, number[]>;
}

/** Of each ten rules: six plain names, two wildcards, one deny, one range of addresses. */
function policyText(rules: number): string {
  const lines = Array.from({ length: rules }, (_, at) => {
    if (at % 10 < 6) return `  - allow: h${at}.example.com`;
    if (at % 10 === 6) return `  - allow: "*.w${at}.example.net"`;
    if (at % 10 === 7) return `  - allow: "**.w${at}.example.net"`;
    if (at % 10 === 8) return `  - deny: d${at}.example.org`;
    return `  - allow: 203.0.${(at >> 8) & 0xff}.${at & 0xff}/32`;
  });
  // The same address twice is the same rule twice, which compile folds.
  return `version: 1\nname: bench\nrules:\n${lines.join('\n')}\n`;
}

function compile(text: string): CompiledPolicy {
  const request = { kind: 'text', text, file: 'bench.yaml', directory: '/' } as const;
  const compiled = compilePolicy([request], {
    directory: '/',
    readFile: () => ({ kind: 'missing' }),
    readData: () => null,
  });
  if (!compiled.ok) throw new Error(JSON.stringify(compiled.issues.slice(0, 3)));
  return compiled.value;
}

function check(text: string): void {
  checkPolicy({
    name: './bench.yaml',
    reader: {
      directory: '/',
      readFile: () => ({ kind: 'file', realPath: '/bench.yaml', bytes: Buffer.from(text) }),
      readData: () => null,
    },
    nowMs: Date.now(),
    ceilings: [],
  });
}

function asked(text: string): EgressRequest {
  const host = parseHost(text);
  if (!host.ok) throw new Error(`no host: ${text}`);
  return { authority: { host: host.value, port: 443 }, protocol: 'https' };
}

/** What is asked; the rules that decide stand in each size. */
const QUESTIONS: readonly (readonly [string, EgressRequest])[] = [
  ['a name that a rule allows', asked('h3.example.com')],
  ['a name under a wildcard', asked('any.w6.example.net')],
  ['a deep name under `**`', asked('a.b.c.d.w7.example.net')],
  ['a name that a rule denies', asked('d8.example.org')],
  ['a name that no rule covers', asked('www.elsewhere.example')],
  ['an address in a range', asked('203.0.0.9')],
];

function evaluationsPerSecond(inForce: PolicyInForce, request: EgressRequest): number {
  let count = 0;
  const start = performance.now();
  let elapsed = 0;
  while (elapsed < SLICE_MS) {
    for (let at = 0; at < BATCH; at += 1) evaluate(inForce, request);
    count += BATCH;
    elapsed = performance.now() - start;
  }
  return (count / elapsed) * 1_000;
}

/** Two policies of so many rules: the same, one with a wildcard more, and one with no rule in common. */
const COMPARED_SIZES: readonly number[] = [10, 1_000, 10_000];

function compareRows(): readonly (readonly string[])[] {
  const compared = COMPARED_SIZES.map((rules) => {
    const text = policyText(rules);
    const time = (title: string, work: () => unknown) => {
      const samples = Array.from({ length: ROUNDS }, () => {
        const start = performance.now();
        work();
        return performance.now() - start;
      });
      return { title, figure: formatFigure(median(samples)) };
    };
    const force = (source: string): PolicyInForce => ({ policy: compile(source), ceilings: [] });
    const before = force(text);
    const others: readonly (readonly [string, PolicyInForce])[] = [
      ['compare: the same, ms', force(text)],
      ['compare: one wildcard more, ms', force(`${text}  - allow: "**.new.example"\n`)],
      [
        'compare: nothing in common, ms',
        force(text.replaceAll('example.', 'other.').replaceAll('203.0.', '198.51.')),
      ],
    ];
    return [
      time('check, ms', () => check(text)),
      ...others.map(([title, after]) => time(title, () => comparePolicies(before, after))),
    ];
  });
  const [first = []] = compared;
  return first.map(({ title }, at) => [title, ...compared.map((row) => row[at]?.figure ?? '')]);
}

export async function run(): Promise<void> {
  const sized = SIZES.map((rules): Sized => {
    const text = policyText(rules);
    return { rules, text, policy: { policy: compile(text), ceilings: [] }, compileMs: [], rates: new Map() };
  });
  const deadline = performance.now() + COMPILE_BUDGET_MS;
  for (let round = 0; round < ROUNDS && (round === 0 || performance.now() < deadline); round += 1) {
    for (const { text, compileMs } of sized) {
      const start = performance.now();
      compile(text);
      compileMs.push(performance.now() - start);
    }
  }
  for (let round = -1; round < ROUNDS; round += 1) {
    for (const [title, request] of QUESTIONS) {
      for (const { policy, rates } of sized) {
        const rate = evaluationsPerSecond(policy, request);
        // The first round warms up.
        if (round >= 0) rates.set(title, [...(rates.get(title) ?? []), rate]);
      }
    }
  }
  process.stdout.write(formatTable(tableOf(sized)));
  const heads = COMPARED_SIZES.map((rules) => `${rules.toLocaleString('en')} rules`);
  const notes = [`medians of ${ROUNDS} rounds`];
  process.stdout.write(formatTable({ head: ['', ...heads], rows: compareRows(), notes }));
}

function tableOf(sized: readonly Sized[]) {
  const [smallest] = sized;
  const cells = (samplesOf: (one: Sized) => readonly number[]): readonly string[] =>
    sized.flatMap((one) => {
      const samples = samplesOf(one);
      const figure = formatFigure(median(samples));
      if (one === smallest || smallest === undefined) return [figure];
      return [figure, formatRatio(pairedRatio(samples, samplesOf(smallest)))];
    });
  const heads = sized.flatMap((one) => {
    const title = `${one.rules.toLocaleString('en')} rules`;
    return one === smallest ? [title] : [title, '÷ first'];
  });
  return {
    head: ['', ...heads],
    rows: [
      ['compile, as a start and a reload do, ms', ...cells(({ compileMs }) => compileMs)],
      ['compile, µs a rule', ...cells(({ compileMs, rules }) => compileMs.map((ms) => (ms * 1_000) / rules))],
      ...QUESTIONS.map(([title]) => [
        `${title}: evaluations/s`,
        ...cells(({ rates }) => rates.get(title) ?? []),
      ]),
    ],
    notes: [
      `medians of ${ROUNDS} alternating rounds after a warm-up; compiled from YAML text, positions and all`,
    ],
  };
}
