/**
 * Removes each guard of `test/conformance/guards.yaml` in turn and runs the cases that must turn red then. Ends
 * with 1 when one stays green: then nothing holds that guard. `--only TEXT` takes those whose name holds it.
 */
import { spawnSync } from 'node:child_process';
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

const CATALOGUE = 'test/conformance/catalogue.test.ts';

/** How each of the guard's cases ended without it. */
function tryWithout({ guard, red, test }: Guard): ReadonlyMap<string, string> {
  const names = red.map(asPattern).join('|');
  const argv = ['run', test ?? CATALOGUE, '--project=units', '--reporter=json'];
  const place = mkdtempSync(join(tmpdir(), 'sand-guards-'));
  try {
    const report = join(place, 'report.json');
    const run = spawnSync(
      process.execPath,
      ['node_modules/vitest/vitest.mjs', ...argv, `--outputFile=${report}`, '-t', names],
      { cwd: ROOT, encoding: 'utf8', env: { ...process.env, SAND_WITHOUT_GUARD: guard } },
    );
    if (!existsSync(report)) throw new Error(`no test ran without "${guard}": ${run.stdout}${run.stderr}`);
    return statuses(red, JSON.parse(readFileSync(report, 'utf8')) as Report);
  } finally {
    rmSync(place, { recursive: true });
  }
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

let held = 0;
const guards = readGuards().filter(({ guard }) => guard.includes(values.only));
for (const guard of guards) {
  const green = [...tryWithout(guard)].filter(([, status]) => status !== 'failed');
  if (green.length === 0) held += 1;
  const said = green.length === 0 ? 'red' : green.map(([id, status]) => `${id} ${status}`).join(', ');
  console.log(`${green.length === 0 ? 'ok  ' : 'FAIL'} ${guard.guard}: ${said}`);
}
console.log(`${held} of ${guards.length} guards are held`);
process.exitCode = held === guards.length && held > 0 ? 0 : 1;
