/**
 * `npm run bench -- NAME...`: runs the named benchmarks one after the other; without a name it lists them.
 * What each measures, and how, is its own file's.
 */
import * as apple from './apple.ts';
import * as attribution from './attribution.ts';
import * as audit from './audit.ts';
import type { Bench } from './bench.ts';
import * as ci from './ci.ts';
import * as dns from './dns.ts';
import * as ethernet from './ethernet.ts';
import * as page from './page.ts';
import * as policy from './policy.ts';
import * as proxy from './proxy.ts';
import * as refusal from './refusal.ts';
import * as startup from './startup.ts';

const BENCHES: readonly Bench[] = [
  startup,
  ci,
  refusal,
  audit,
  page,
  attribution,
  proxy,
  dns,
  ethernet,
  apple,
  policy,
];

function list(): string {
  const width = Math.max(...BENCHES.map(({ name }) => name.length));
  const lines = BENCHES.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `npm run bench -- NAME...\n\n${lines.join('')}`;
}

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !BENCHES.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    process.stderr.write(`there is no benchmark ${unknown.join(', ')}\n\n${list()}`);
    return 2;
  }
  if (names.length === 0) process.stdout.write(list());
  for (const bench of BENCHES.filter(({ name }) => names.includes(name))) {
    process.stdout.write(`${bench.name}: ${bench.summary}\n`);
    await bench.run();
    process.stdout.write('\n');
  }
  return 0;
}

// Through `exit`, so that every workplace is cleared away.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.once(signal, () => process.exit(code));
}
process.exit(await main(process.argv.slice(2)));
