/**
 * Removes each guard of `test/conformance/guards.yaml` in turn and runs the cases that must turn red then. Ends
 * with 1 when one stays green: then nothing holds that guard. `--only TEXT` takes those whose name holds it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Guard, readGuards } from './guards.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

/** Each is mostly one thread that loads sand. */
const AT_A_TIME = 2;
const CATALOGUE = 'test/conformance/catalogue.test.ts';

/** How each of the guard's cases ended without it. */
async function tryWithout({ guard, red, test }: Guard): Promise<ReadonlyMap<string, string>> {
  const names = red.map(asPattern).join('|');
  const argv = ['run', test ?? CATALOGUE, '--project=units', '--reporter=json'];
  const place = mkdtempSync(join(tmpdir(), 'sand-guards-'));
  try {
    const report = join(place, 'report.json');
    const said = await runVitest([...argv, `--outputFile=${report}`, '-t', names], guard);
    if (!existsSync(report)) throw new Error(`no test ran without "${guard}": ${said}`);
    return statuses(red, JSON.parse(readFileSync(report, 'utf8')) as Report);
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Gives all that it said, however it ended. */
async function runVitest(argv: readonly string[], without: string): Promise<string> {
  const run = spawn(process.execPath, ['node_modules/vitest/vitest.mjs', ...argv], {
    cwd: ROOT,
    env: { ...process.env, SAND_WITHOUT_GUARD: without },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [run.stdout, run.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  await once(run, 'close');
  return said;
}

function asPattern(title: string): string {
  return title.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function statuses(red: readonly string[], { testResults }: Report): ReadonlyMap<string, string> {
  const results = testResults.flatMap(({ assertionResults }) => assertionResults);
  return new Map(
    red.map((name) => {
      const all = results
        .filter(({ title }) => title === name || title.startsWith(`${name}: `))
        .map(({ status }) => status);
      return [name, all.find((status) => status === 'failed') ?? all[0] ?? 'missing'];
    }),
  );
}

const guards = readGuards().filter(({ guard }) => guard.includes(values.only));
const waiting = guards.values();
let held = 0;

async function tryNext(): Promise<void> {
  for (const guard of waiting) {
    const green = [...(await tryWithout(guard))].filter(([, status]) => status !== 'failed');
    if (green.length === 0) held += 1;
    const said = green.length === 0 ? 'red' : green.map(([id, status]) => `${id} ${status}`).join(', ');
    console.log(`${green.length === 0 ? 'ok  ' : 'FAIL'} ${guard.guard}: ${said}`);
  }
}

await Promise.all(Array.from({ length: AT_A_TIME }, tryNext));
console.log(`${held} of ${guards.length} guards are held`);
process.exitCode = held === guards.length && held > 0 ? 0 : 1;
